# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frames of a video file at a steady rate."""

from __future__ import annotations

import math
from pathlib import Path

import av
import numpy as np


def sample_frames(path: str | Path, fps: float, max_frames: int | None = None) -> np.ndarray:
    """Frame i is what the video shows at i / fps seconds: the newest picture with a stamp not after it.

    Returns:
        uint8 RGB [T, H, W, 3], up to the last picture's stamp.

    Raises:
        ValueError: `fps` is not above 0, or the file has no picture.
    """
    if not fps > 0:
        raise ValueError(f"fps is a rate in Hz above 0: {fps}")
    frames: list[np.ndarray] = []
    newest, first, last = None, None, 0.0
    try:
        with av.open(str(path)) as container:
            for picture in container.decode(video=0):
                first = picture.time if first is None else first
                # Every instant before this picture shows the one before it.
                last = picture.time - first
                due = math.ceil(round(last * fps, 6))
                while newest is not None and len(frames) < due:
                    frames.append(newest)
                newest = picture.to_ndarray(format="rgb24")
                if max_frames is not None and len(frames) >= max_frames:
                    break
    except (av.error.FFmpegError, IndexError) as error:
        raise ValueError(f"{path} cannot be read as a video: {error}") from error
    if newest is None:
        raise ValueError(f"{path} has no picture")
    if len(frames) <= round(last * fps, 6) and (max_frames is None or len(frames) < max_frames):
        frames.append(newest)
    return np.stack(frames)
