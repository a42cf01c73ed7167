# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The settings and data that a stage was trained with, kept beside its model."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from videollm_ros.training.config import ModelConfig, StageConfig, TrainConfig
from videollm_ros.training.yaml_dataclass import ConfigError, from_values

SETTINGS_NAME = "settings.json"


def write_settings(folder: Path, stage: StageConfig, config: TrainConfig, fingerprints: Sequence[str | None]) -> None:
    """Keep what the stage in `folder` is trained with.

    Args:
        folder: of the stage.
        stage: its settings.
        config: of the run.
        fingerprints: of the data, one per source.
    """
    folder.mkdir(parents=True, exist_ok=True)
    values = _settings(stage, config.model, config.seed) | {"data": list(fingerprints)}
    (folder / SETTINGS_NAME).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def data_has_changed(folder: Path, fingerprints: Sequence[str | None]) -> bool:
    """Return whether the stage in `folder` was trained on other data than there is now. A missing file is no change."""
    before = (_read(folder) or {}).get("data", [])
    return any(now is not None and then != now for then, now in zip(before, fingerprints, strict=False))


def check_settings(folder: Path, stage: StageConfig, config: TrainConfig) -> None:
    """Compare the settings with those that the stage in `folder` was trained with, where they are known.

    Raises:
        ConfigError: they differ. The message names the first setting that does.
    """
    values = _read(folder)
    if values is None:
        return
    try:
        # Read as a configuration is, so that a setting that did not exist then has its default.
        before = _settings(
            from_values(StageConfig, values["stage"]), from_values(ModelConfig, values["model"]), values["seed"]
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{folder / SETTINGS_NAME} cannot be used: {error}; delete {folder} to train the stage again"
        ) from error
    then, now = dict(_flat(before)), dict(_flat(_settings(stage, config.model, config.seed)))
    for name in sorted(then.keys() | now.keys()):
        if then.get(name) != now.get(name):
            raise ConfigError(
                f"{folder} was trained with {name} {then.get(name)!r}, and now it is {now.get(name)!r}: take another "
                "output, or delete the folder and those of the stages after it to train them again"
            )


def _read(folder: Path) -> dict[str, Any] | None:
    """Return the settings of the work in a folder. None when there is no work, or nothing is known of it."""
    path = folder / SETTINGS_NAME
    has_work = any(folder.glob("checkpoint-*")) or (folder / "model").exists()
    if not path.exists() or not has_work:
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{path} is not valid JSON: {error}; delete {folder} to train the stage again") from error
    return values if isinstance(values, dict) else {}


def _settings(stage: StageConfig, model: ModelConfig, seed: int) -> dict[str, Any]:
    values = {"seed": seed, "model": asdict(model), "stage": asdict(stage)}
    plain: dict[str, Any] = json.loads(json.dumps(values, default=str))  # tuples as JSON has them
    return plain


def _flat(values: object, name: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(values, dict):
        for key, value in values.items():
            yield from _flat(value, f"{name}.{key}" if name else key)
    else:
        yield name, values
