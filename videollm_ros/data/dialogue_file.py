# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A file of dialogues as a source of samples: indexed, split, and with features, videos or made-up frames."""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from videollm_ros.data.dialogue_index import DialogueIndex
from videollm_ros.data.dialogues import Dialogue
from videollm_ros.data.features import FeatureFolder, describe_encoder, encode_frames
from videollm_ros.data.splitting import DialogueLimits, DialogueSplitter
from videollm_ros.data.videos import VideoFolder, synthetic_frames
from videollm_ros.live import LiveModel
from videollm_ros.live.vision import VisionEncoder

_SHORT_CONTEXT_SHARE = 0.5
"""Share of the samples that have the frames of `context_seconds` only."""
_SYNTHETIC_POOL = 64
"""Made-up frames that are encoded once and drawn from."""


class DialogueFile:
    """Dialogues of a JSON-lines file. Exactly one of `features`, `videos` and `synthetic` is given."""

    def __init__(
        self,
        path: str | Path,
        model: LiveModel,
        limits: DialogueLimits,
        context_seconds: tuple[float, float] | None = None,
        features: str | None = None,
        videos: str | None = None,
        synthetic: str | None = None,
    ) -> None:
        """Index the file, and check every line when the index is new.

        Args:
            path: the file.
            model: its template, geometry and frame rate are used.
            limits: longer dialogues are split.
            context_seconds: see `SourceConfig`.
            features: folder of stored features.
            videos: folder of video files.
            synthetic: kind of made-up frames.

        Raises:
            DialogueError: the file is missing or empty, or a line is not a dialogue or cannot be split.
        """
        config = model.config
        self._splitter = DialogueSplitter(model.template, limits)
        # Everything that the cuts depend on.
        cut = repr((limits, config.system_prompt, config.frame_num_tokens, config.frame_token_interval, config.llm))
        self._index = DialogueIndex(path, self._splitter.parts, f"{cut} {len(model.tokenizer)}")
        self._context_seconds, self._fps = context_seconds, config.frame_fps
        self._features = None if features is None else FeatureFolder(features)
        self._made_with = {} if features is None else describe_encoder(model.vision, config.frame_fps)
        self._videos = None if videos is None else VideoFolder(videos, config.frame_fps, config.frame_resolution)
        self._synthetic, self._resolution = synthetic, config.frame_resolution
        self._feature_shape = (config.frame_num_tokens, model.vision.hidden_size)
        self._pool: Tensor | None = None
        self._num_frames: dict[str, int] = {}
        self.gives = frozenset(
            {"features"} if features is not None else {"frames"} if videos is not None else {"features", "frames"}
        )

    def __len__(self) -> int:
        """Return the number of samples: of dialogues, or of their parts."""
        return len(self._index)

    def dialogue(self, index: int, rng: random.Random | None) -> Dialogue:
        """Return a sample, about every second one with a short context when `context_seconds` says so."""
        dialogue, start, stop = self._index[index]
        if rng is not None and self._context_seconds is not None and rng.random() < _SHORT_CONTEXT_SHARE:
            num_frames = max(1, round(rng.uniform(*self._context_seconds) * self._fps))
            if stop - start > num_frames:
                stop = rng.randint(start + num_frames, stop)
                start = stop - num_frames
        return self._splitter.cut(dialogue, start, stop)

    def visual(self, index: int, dialogue: Dialogue) -> Tensor:
        """Return the features or frames of a sample.

        Raises:
            DialogueError: they are missing, cannot be read, or are fewer than the dialogue says.
        """
        if not dialogue.num_frames:
            if self._features is not None or self._pool is not None:
                return torch.zeros(0, *self._feature_shape, dtype=torch.float16)
            return torch.zeros(0, 3, self._resolution, self._resolution, dtype=torch.uint8)
        if self._features is not None:
            return self._features.read(dialogue)
        if self._videos is not None:
            return self._videos.read(dialogue)
        if self._pool is None:
            return synthetic_frames(str(self._synthetic), dialogue.num_frames, self._resolution, seed=index)
        chosen = torch.randint(len(self._pool), (dialogue.num_frames,), generator=torch.Generator().manual_seed(index))
        return self._pool[chosen]

    def frame_labels(self, index: int) -> Mapping[str, Tensor]:
        """Return no labels: a file has none."""
        return {}

    def check(self, dialogue: Dialogue) -> None:
        """Raise unless the features are there and fit the model, or the video file is there.

        Raises:
            DialogueError: the message says what was expected.
        """
        if not dialogue.num_frames or (self._features is None and self._videos is None):
            return
        if self._videos is not None:
            self._videos.path(dialogue)
        elif self._features is not None:
            if dialogue.video not in self._num_frames:
                num_frames, *shape = self._features.shape(dialogue)
                if tuple(shape) != self._feature_shape:
                    dialogue.fail(
                        f"the features of video {dialogue.video} are {list(shape)} per frame, and the model takes "
                        f"{list(self._feature_shape)}: they are of another vision tower, or pooled in another way"
                    )
                self._features.check_encoder(dialogue, self._made_with)
                self._num_frames[dialogue.video] = num_frames
            dialogue.check(self._num_frames[dialogue.video])

    def encoded(self, vision: VisionEncoder, device: torch.device | str) -> DialogueFile:
        """Return this source with made-up frames encoded; stored features are features already."""
        if self._synthetic is None:
            return self
        source = copy.copy(self)
        home: Any = vision.scale.device
        frames = synthetic_frames(self._synthetic, _SYNTHETIC_POOL, self._resolution)
        source._pool = encode_frames(vision.to(device), frames).half().cpu()
        vision.to(home)
        return source
