# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The settings that a stage was trained with, kept beside its model: other settings do not go on with its work."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from videollm_ros.training.config import ConfigError, ModelConfig, StageConfig, TrainConfig, from_values

SETTINGS_NAME = "settings.json"


def write_settings(folder: Path, stage: StageConfig, config: TrainConfig) -> None:
    """Keep what the stage in `folder` is trained with."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SETTINGS_NAME).write_text(
        json.dumps(_settings(stage, config.model, config.seed), indent=2) + "\n", encoding="utf-8"
    )


def check_settings(folder: Path, stage: StageConfig, config: TrainConfig) -> None:
    """Compare the settings with those that the stage in `folder` was trained with, where they are known.

    Raises:
        ConfigError: they differ; the message names the first setting that does.
    """
    path = folder / SETTINGS_NAME
    has_work = any(folder.glob("checkpoint-*")) or (folder / "model").exists()
    if not path.exists() or not has_work:
        return
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        # Read as a configuration is, so that a setting which there was not then has its default.
        before = _settings(
            from_values(StageConfig, values["stage"]), from_values(ModelConfig, values["model"]), values["seed"]
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{path} cannot be used: {error}; delete {folder} to train the stage anew") from error
    then, now = dict(_flat(before)), dict(_flat(_settings(stage, config.model, config.seed)))
    for name in sorted(then.keys() | now.keys()):
        if then.get(name) != now.get(name):
            raise ConfigError(
                f"{folder} was trained with {name} {then.get(name)!r}, and now it is {now.get(name)!r}: take another "
                "output, or delete the folder and those of the stages after it to train them anew"
            )


def _settings(stage: StageConfig, model: ModelConfig, seed: int) -> dict:
    values = {"seed": seed, "model": asdict(model), "stage": asdict(stage)}
    return json.loads(json.dumps(values, default=str))  # tuples as JSON has them


def _flat(values: object, name: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(values, dict):
        for key, value in values.items():
            yield from _flat(value, f"{name}.{key}" if name else key)
    else:
        yield name, values
