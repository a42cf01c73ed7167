# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Vision features on disk: encoded once, read again in every epoch. One safetensors file per video."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from videollm_ros.data.dialogues import Dialogue, DialogueError, check_video_id
from videollm_ros.live.vision import VisionEncoder, letterbox

_NAME = "features"


class FeatureFolder:
    """Features [T, n, d_vision] by video id: `<folder>/<video>.safetensors`."""

    def __init__(self, folder: str | Path) -> None:
        """Take the folder."""
        self.folder = Path(folder)

    def path(self, video: str) -> Path:
        """Return the file of a video.

        Raises:
            ValueError: the id is empty, absolute, or leaves the folder.
        """
        check_video_id(video)
        return self.folder / f"{video}.safetensors"

    def write(self, video: str, features: Tensor) -> None:
        """Store features [T, n, d_vision] in half precision."""
        path = self.path(video)
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({_NAME: features.detach().to("cpu", torch.float16).contiguous()}, path)

    def shape(self, dialogue: Dialogue) -> tuple[int, ...]:
        """Return the shape [T, n, d_vision] of what is stored for the dialogue's video.

        Raises:
            DialogueError: no features of that video.
        """
        with self._open(dialogue) as file:
            return tuple(file.get_slice(_NAME).get_shape())

    def read(self, dialogue: Dialogue) -> Tensor:
        """Return the features [T, n, d_vision] of the dialogue's frames. Only these are read from disk.

        Raises:
            DialogueError: no features of that video, or fewer than the dialogue needs.
        """
        start, stop = dialogue.frames
        with self._open(dialogue) as file:
            stored = file.get_slice(_NAME)
            dialogue.check(num_available=stored.get_shape()[0])
            features: Tensor = stored[start:stop]
            return features

    def _open(self, dialogue: Dialogue) -> Any:
        path = self.path(dialogue.video)
        try:
            file = safe_open(path, framework="pt")
            file.get_slice(_NAME)
        except (OSError, SafetensorError) as error:
            raise DialogueError(
                f"{dialogue.source}: the features of video {dialogue.video} cannot be read from {path}: {error}."
            ) from error
        return file


@torch.inference_mode()
def encode_frames(encoder: VisionEncoder, frames: Tensor, batch_size: int = 64) -> Tensor:
    """Encode frames uint8 RGB [T, 3, R, R] in batches; return features [T, n, d_vision] on the encoder's device."""
    device = encoder.scale.device
    return torch.cat([encoder(batch.to(device)) for batch in frames.split(batch_size)])


def write_features(
    encoder: VisionEncoder, frames: Iterable[np.ndarray], video: str, folder: FeatureFolder, batch_size: int = 64
) -> None:
    """Encode the frames of a video, uint8 RGB [H, W, 3] each, and store them.

    At most `batch_size` frames are held at once.
    """
    device: Any = encoder.scale.device
    resolution = encoder.config.frame_resolution
    features = []
    remaining = iter(frames)
    while batch := list(islice(remaining, batch_size)):
        pictures = torch.from_numpy(np.stack(batch)).permute(0, 3, 1, 2)
        features.append(encode_frames(encoder, letterbox(pictures.to(device), resolution)).half().cpu())
    folder.write(video, torch.cat(features))
