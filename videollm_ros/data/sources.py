# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where dialogues come from: what every source offers, and the one place that opens them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from videollm_ros.data.dialogue_file import DialogueFile
from videollm_ros.data.dialogue_index import file_digest
from videollm_ros.data.dialogues import Dialogue
from videollm_ros.data.simulated import SimulatorConfig, SimulatorSource
from videollm_ros.data.splitting import DialogueLimits
from videollm_ros.data.videos import SYNTHETIC_KINDS
from videollm_ros.live import LiveModel
from videollm_ros.live.cache import trained_range
from videollm_ros.live.vision import VisionEncoder

FEATURES, FRAMES = "features", "frames"


class Source(Protocol):
    """Dialogues and what they show. A new kind of source needs this, and a line in `open_sources`."""

    gives: frozenset[str]
    """FEATURES, FRAMES or both: what `visual` can return."""

    def __len__(self) -> int:
        """Return the number of samples."""

    def dialogue(self, index: int, rng: random.Random | None) -> Dialogue:
        """Return a sample. What is random in it is drawn from `rng`; None draws nothing."""

    def visual(self, index: int, dialogue: Dialogue) -> Tensor:
        """Return what `dialogue(index)` shows: features [T, n, d_vision] or frames uint8 RGB [T, 3, R, R]."""

    def frame_labels(self, index: int) -> Mapping[str, Tensor]:
        """Return known labels of the frames [T, k] by name, for auxiliary losses."""

    def check(self, dialogue: Dialogue) -> None:
        """Raise DialogueError when what the dialogue shows is not there, as far as that is quick to see."""

    def encoded(self, vision: VisionEncoder, device: torch.device | str) -> Source:
        """Return the same source, giving features. Called when FEATURES is in `gives`."""


@dataclass(frozen=True)
class SourceConfig:
    """One source: the simulator, or a JSON-lines file of dialogues with what they show.

    Raises:
        ValueError: not exactly one of each, or a value out of its range.
    """

    simulator: SimulatorConfig | None = None
    dialogues: str | None = None
    """JSON-lines file."""
    features: str | None = None
    """Folder of stored features, one file per video."""
    videos: str | None = None
    """Folder of video files, read at the model's frame rate, when features are not stored."""
    synthetic: str | None = None
    """"black" or "noise": made-up frames that show nothing, in place of features and videos."""
    weight: float = 1.0
    """How often each dialogue is seen per epoch. 0.25: a quarter of them, another one in each epoch."""
    context_seconds: tuple[float, float] | None = None
    """About every second sample has only the frames of this many seconds in its context, at least and at most. What
    was said before stays. A session with a bounded context looks like that after a while."""

    def __post_init__(self) -> None:
        """Check the settings."""
        if (self.simulator is None) == (self.dialogues is None):
            raise ValueError("data needs exactly one of simulator and dialogues, or a list of sources")
        shown = [self.features, self.videos, self.synthetic]
        if self.dialogues is not None and sum(value is not None for value in shown) != 1:
            raise ValueError("data.dialogues needs exactly one of features, videos and synthetic")
        if self.dialogues is None and any(value is not None for value in shown):
            raise ValueError("data.simulator draws its own frames; leave features, videos and synthetic out")
        if self.synthetic not in (None, *SYNTHETIC_KINDS):
            raise ValueError(f"data.synthetic is one of {', '.join(SYNTHETIC_KINDS)}, not {self.synthetic!r}")
        if not 0 < self.weight <= 1000:
            raise ValueError(f"data.weight is a number above 0 and at most 1000, not {self.weight}")
        if self.context_seconds is not None and not 0 < self.context_seconds[0] <= self.context_seconds[1]:
            raise ValueError(f"data.context_seconds is a shortest and a longest time, not {list(self.context_seconds)}")
        if self.context_seconds is not None and self.simulator is not None and self.simulator.windows:
            raise ValueError("data.simulator.windows have no past, and context_seconds is about one; give one of them")


@dataclass(frozen=True)
class DataConfig(SourceConfig):
    """What a stage learns from: one source written here, or several under `sources`, and how they are changed.

    Raises:
        ValueError: a source both here and under `sources`, or a value out of its range.
    """

    sources: tuple[SourceConfig, ...] = ()
    max_frames: int | None = None
    """Longer dialogues are cut on turns into parts of at most this many frames."""
    max_tokens: int | None = None
    """The same for tokens. None: as many as the decoder knows positions. More than that trains the decoder on new
    positions, which the checkpoint then names as its `max_positions`."""
    silence_keep_ratio: float = 1.0
    """Share of the silent frames that are learned (ProAssist: 0.1). Less makes the model speak more often."""
    reply_corruption: float = 0.0
    """Share of the dialogues in which an earlier reply is replaced or dropped."""
    baseline: str | None = None
    """"per_frame" or "interleaved": the paper's two baselines instead of the streaming dialogue."""

    def __post_init__(self) -> None:
        """Check the settings."""
        if not self.sources:
            super().__post_init__()
        elif self.simulator is not None or self.dialogues is not None or self.context_seconds is not None:
            raise ValueError("data has sources; put simulator, dialogues and context_seconds into one of them")
        for name in ("max_frames", "max_tokens"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"data.{name} is at least 1, not {value}")
        if not 0 < self.silence_keep_ratio <= 1:
            raise ValueError(f"data.silence_keep_ratio is a share above 0 and at most 1, not {self.silence_keep_ratio}")
        if not 0 <= self.reply_corruption <= 1:
            raise ValueError(f"data.reply_corruption is a share from 0 to 1, not {self.reply_corruption}")
        if self.baseline not in (None, "per_frame", "interleaved"):
            raise ValueError(f'data.baseline is "per_frame" or "interleaved", not {self.baseline!r}')
        if self.baseline is not None and self.silence_keep_ratio < 1:
            raise ValueError("data.silence_keep_ratio is a share of silent frames, and the baselines learn none")

    @property
    def all_sources(self) -> tuple[SourceConfig, ...]:
        """The sources, also when there is only the one written here."""
        return self.sources or (self,)


def open_sources(config: DataConfig, model: LiveModel, seed: int) -> list[Source]:
    """Open the sources of a stage. All lines of a dialogue file are read and checked the first time.

    Args:
        config: which ones.
        model: its template, geometry and decoder configuration are used. Its weights do not matter.
        seed: of what is drawn once for all epochs.

    Raises:
        DialogueError: a file that is not there, or a line that is not a dialogue.
    """
    limits = DialogueLimits(max_tokens(config, model), config.max_frames)
    sources: list[Source] = []
    for source in config.all_sources:
        if source.simulator is not None:
            sources.append(SimulatorSource(source.simulator, source.context_seconds, model, seed))
        elif source.dialogues is not None:
            visual = {name: getattr(source, name) for name in ("features", "videos", "synthetic")}
            sources.append(DialogueFile(source.dialogues, model, limits, source.context_seconds, **visual))
    return sources


def fingerprints(config: DataConfig) -> list[str | None]:
    """Return what changes when the data on disk changes, one per source. None where there is no file."""
    return [None if source.dialogues is None else file_digest(source.dialogues) for source in config.all_sources]


def max_tokens(config: DataConfig, model: LiveModel) -> int:
    """Return the tokens that a dialogue may have: the setting, or the positions that the model knows."""
    if config.max_tokens is not None:
        return config.max_tokens
    return trained_range(model.llm.config.get_text_config(), model.config.max_positions)
