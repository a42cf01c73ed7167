# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a stage learns from: read and checked before the run begins, encoded when the stage does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.utils.data import Dataset

from videollm_ros.data.collation import Collator
from videollm_ros.live import LiveModel
from videollm_ros.training.config import StageConfig
from videollm_ros.training.samples import DialogueSamples, Source, file_sources
from videollm_ros.training.scene import SceneFrames, collate_scenes
from videollm_ros.training.simulated import encoded, simulated_sources


def read_sources(stage: StageConfig, model: LiveModel, seed: int) -> list[Source]:
    """The dialogues of a stage, all of them checked; none for the scene task, which draws single frames.

    Args:
        model: one with the template and the decoder's length of the stage's own; its weights do not matter.

    Raises:
        DialogueError: a dialogue that cannot be encoded, is too long, or does not fit its features or video.
    """
    if stage.task == "scene":
        return []
    if stage.data.simulator is not None:
        sources = simulated_sources(stage.data.simulator, model, seed)
    else:
        sources = file_sources(stage.data, model)
    DialogueSamples(sources, model, stage.data, seed, frames=True).check_lengths()
    return sources


def training_data(
    stage: StageConfig, model: LiveModel, seed: int, sources: Sequence[Source], device: torch.device
) -> tuple[Dataset, Callable[[list], dict[str, Any]]]:
    """The samples of a stage, of what `read_sources` gave, and what makes batches of them. What the stage needs encoded
    is encoded now, on `device`."""
    simulator = stage.data.simulator
    if stage.task == "scene":
        return SceneFrames(simulator, model.config.frame_resolution, seed), collate_scenes
    frames = stage.learn.vision if simulator is not None else stage.data.videos is not None
    if simulator is not None and not frames:
        sources = encoded(sources, model, device)
    pad = model.tokenizer.pad_token_id
    collate = Collator(model.tokenizer.eos_token_id if pad is None else pad)
    return DialogueSamples(sources, model, stage.data, seed, frames=frames), collate
