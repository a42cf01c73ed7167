# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Vision features on disk: encoded once, read again in every epoch. One safetensors file per video."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from videollm_ros.data.dialogues import Dialogue, DialogueError, check_video_id
from videollm_ros.live.vision import VisionEncoder, as_tensor, letterbox

_NAME = "features"
_MEANING = {"fps": "the rate [Hz]", "geometry": "the frame geometry", "vision": "the vision weights"}


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

    def write(self, video: str, features: Tensor, made_with: Mapping[str, str] | None = None) -> None:
        """Store features [T, n, d_vision] in half precision. The file appears when it is whole, or not at all.

        Args:
            video: id of the video.
            features: of all its frames.
            made_with: what `describe_encoder` returned.
        """
        path = self.path(video)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            save_file({_NAME: features.detach().to("cpu", torch.float16).contiguous()}, part, dict(made_with or {}))
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)

    def made_with(self, video: str) -> dict[str, str] | None:
        """Return how the features of a video were made. None where there is no file that can be read."""
        try:
            with safe_open(self.path(video), framework="pt") as file:
                return dict(file.metadata() or {})
        except (OSError, SafetensorError):
            return None

    def check_encoder(self, dialogue: Dialogue, expected: Mapping[str, str]) -> None:
        """Raise when the features were made in another way. Files that do not say how are taken as they are.

        Raises:
            DialogueError: another rate, frame geometry or vision tower.
        """
        found = self.made_with(dialogue.video) or {}
        for name, value in expected.items():
            if name in found and found[name] != value:
                dialogue.fail(
                    f"the features of video {dialogue.video} were made with {_MEANING[name]} {found[name]:.64}, "
                    f"and the model takes {value:.64}: make them again with `features --checkpoint` and this model"
                )

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


def describe_encoder(encoder: VisionEncoder, fps: float | None = None) -> dict[str, str]:
    """Describe how features are made: the rate in Hz, the frame geometry, and a hash of the vision weights.

    The hash is that of the weights in bfloat16, so that a tower in float32 and the same one in bfloat16 are equal.

    Args:
        encoder: the encoder.
        fps: frames per second. None takes the configured rate.
    """
    config = encoder.config
    digest = hashlib.sha256()
    for name, tensor in sorted(encoder.tower.state_dict().items()):
        digest.update(f"{name}{list(tensor.shape)}".encode())
        if not tensor.is_meta:
            digest.update(tensor.detach().to("cpu", torch.bfloat16).contiguous().view(torch.uint8).numpy())
    pooled = "none" if config.frame_token_pooled is None else "x".join(map(str, config.frame_token_pooled))
    geometry = f"{config.frame_resolution} pixels, pooled {pooled}, {'a' if config.frame_token_cls else 'no'} CLS token"
    return {
        "fps": f"{config.frame_fps if fps is None else fps:g}",
        "geometry": geometry,
        "vision": digest.hexdigest(),
    }


@torch.inference_mode()
def encode_frames(encoder: VisionEncoder, frames: Tensor, batch_size: int = 64) -> Tensor:
    """Encode frames uint8 RGB [T, 3, R, R] in batches; return features [T, n, d_vision] on the encoder's device."""
    device = encoder.scale.device
    return torch.cat([encoder(batch.to(device)) for batch in frames.split(batch_size)])


def encode_pictures(encoder: VisionEncoder, pictures: Iterable[np.ndarray], batch_size: int = 64) -> Tensor:
    """Encode pictures, uint8 RGB [H, W, 3] each, and return features [T, n, d_vision], float16 on the CPU.

    The pictures may have different sizes. The next batch is read while one is encoded; no more is held.

    Raises:
        ValueError: there is no picture.
    """
    features = []
    for batch in _ahead(_fitted(pictures, encoder.config.frame_resolution, batch_size)):
        features.append(encode_frames(encoder, batch, batch_size).half().cpu())
    if not features:
        raise ValueError("There is no picture to encode.")
    return torch.cat(features)


def _fitted(pictures: Iterable[np.ndarray], resolution: int, batch_size: int) -> Iterator[Tensor]:
    """Yield batches [T, 3, R, R]. The CPU fits them, so that large pictures are freed one by one."""
    remaining = (letterbox(as_tensor(each).permute(2, 0, 1)[None], resolution) for each in pictures)
    while batch := list(islice(remaining, batch_size)):
        yield torch.cat(batch)


def _ahead(batches: Iterator[Tensor]) -> Iterator[Tensor]:
    """Yield the batches. The next one is made in a thread meanwhile."""
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = reader.submit(next, batches, None)
            yield batch


def write_features(
    encoder: VisionEncoder, frames: Iterable[np.ndarray], video: str, folder: FeatureFolder, batch_size: int = 64
) -> None:
    """Encode the frames of a video, uint8 RGB [H, W, 3] each, and store them with how they were made.

    Raises:
        ValueError: there is no frame.
    """
    folder.write(video, encode_pictures(encoder, frames, batch_size), describe_encoder(encoder))
