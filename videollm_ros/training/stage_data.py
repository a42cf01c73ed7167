# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a stage learns from: opened and checked before the run begins, encoded when the stage does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import torch
from torch.utils.data import Dataset

from videollm_ros.data.collation import Collator
from videollm_ros.data.samples import DialogueSamples
from videollm_ros.data.sources import FEATURES, FRAMES, Source, open_sources
from videollm_ros.live import LiveModel
from videollm_ros.training.config import StageConfig
from videollm_ros.training.simulator.scene import SceneFrames, collate_scenes
from videollm_ros.training.yaml_dataclass import ConfigError


def read_sources(stage: StageConfig, model: LiveModel, seed: int) -> list[Source]:
    """Open and check the dialogues of a stage. There are none for the scene task, which draws single frames.

    Args:
        stage: which dialogues.
        model: has the template, the geometry and the decoder's length of the stage's own. Its weights do not matter.
        seed: of what is random.

    Raises:
        ConfigError: sources that cannot be mixed.
        DialogueError: a dialogue that cannot be encoded, is too long, or does not fit its features or video.
    """
    if stage.task == "scene":
        return []
    sources = open_sources(stage.data, model, seed)
    if not _common(sources):
        raise ConfigError(
            f"stage {stage.name}: data.sources mix stored features with videos; encode the videos first with "
            "python -m videollm_ros.data features"
        )
    DialogueSamples(sources, model, stage.data, seed).check()
    return sources


def training_data(
    stage: StageConfig, model: LiveModel, seed: int, sources: Sequence[Source], device: torch.device
) -> tuple[Dataset[Any], Callable[[list[Any]], dict[str, Any]]]:
    """Return the samples of a stage and what makes batches of them.

    Frames that are needed as features are encoded now, on `device`.
    """
    if stage.task == "scene":
        return SceneFrames(stage.simulators[0], model.config.frame_resolution, seed), collate_scenes
    visual = FRAMES if stage.trainable.vision or FEATURES not in _common(sources) else FEATURES
    if visual == FEATURES:
        sources = [source.encoded(model.vision, device) for source in sources]
    pad = model.tokenizer.pad_token_id
    collate = Collator(model.tokenizer.eos_token_id if pad is None else pad)
    return DialogueSamples(sources, model, stage.data, seed, visual), collate


def _common(sources: Sequence[Source]) -> frozenset[str]:
    """Return what all sources can give."""
    return reduce(frozenset.intersection, (source.gives for source in sources))
