# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frames of dialogues out of a folder of video files, or made up where there is no video."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from videollm_ros.data.dialogues import Dialogue, DialogueError
from videollm_ros.live.vision import letterbox
from videollm_ros.media.video import sample_frames

VIDEO_SUFFIXES = (".mp4", ".mkv", ".webm", ".avi", ".mov")
SYNTHETIC_KINDS = ("black", "noise")


class VideoFolder:
    """A folder of videos, read at one frame rate and fitted to the square of a vision tower."""

    def __init__(self, folder: str | Path, fps: float, resolution: int) -> None:
        """Take the folder, the frame rate [Hz], and the side of the tower's frame in pixels."""
        self._folder, self._fps, self._resolution = Path(folder), fps, resolution

    def path(self, dialogue: Dialogue) -> Path:
        """Return the file of a dialogue's video, or its folder of images.

        Raises:
            DialogueError: there is none.
        """
        for suffix in ("", *VIDEO_SUFFIXES):
            path = self._folder / f"{dialogue.video}{suffix}"
            if path.exists():
                return path
        raise DialogueError(f"{dialogue.source}: the video {dialogue.video} is not in {self._folder}.")

    def read(self, dialogue: Dialogue) -> Tensor:
        """Return the frames of a dialogue, uint8 RGB [T, 3, R, R].

        Raises:
            DialogueError: the video cannot be read, or is too short.
        """
        start = dialogue.frames[0]
        frames = sample_frames(self.path(dialogue), self._fps, dialogue.num_frames, start / self._fps)
        try:
            fitted = [letterbox(torch.from_numpy(frame).permute(2, 0, 1)[None], self._resolution) for frame in frames]
        except ValueError as error:
            raise DialogueError(f"{dialogue.source}: {error}") from error
        dialogue.check(start + len(fitted))
        return torch.cat(fitted)


def synthetic_frames(kind: str, num_frames: int, resolution: int, seed: int = 0) -> Tensor:
    """Make frames that show nothing: a model must not speak about them, and must answer all the same.

    Args:
        kind: "black", or "noise" for random pixels.
        num_frames: how many.
        resolution: side in pixels.
        seed: of the noise.

    Returns:
        uint8 RGB [T, 3, R, R].

    Raises:
        ValueError: another kind.
    """
    shape = (num_frames, 3, resolution, resolution)
    if kind == "black":
        return torch.zeros(shape, dtype=torch.uint8)
    if kind == "noise":
        return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))
    raise ValueError(f"made-up frames are {' or '.join(SYNTHETIC_KINDS)}, not {kind!r}")
