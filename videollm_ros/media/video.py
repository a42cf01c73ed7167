# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frames of a video file at a steady rate."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np


def sample_frames(path: str | Path, fps: float, max_frames: int | None = None) -> Iterator[np.ndarray]:
    """Frame i is what the video shows at i / fps seconds: the newest picture with a stamp not after it.

    Yields:
        uint8 RGB [H, W, 3] as the video is read, up to the last picture's stamp. Only pictures that are shown are
        converted; a picture that is shown twice is the same array.

    Raises:
        ValueError: `fps` is not above 0, or the file has no picture. (When the first frame is taken.)
    """
    if not fps > 0:
        raise ValueError(f"fps is a rate in Hz above 0: {fps}")
    num_frames = 0
    newest, shown, first, last = None, None, None, 0.0
    try:
        with av.open(str(path)) as container:
            for picture in container.decode(video=0):
                first = picture.time if first is None else first
                # Every instant before this picture shows the one before it.
                last = picture.time - first
                due = math.ceil(round(last * fps, 6))
                while newest is not None and num_frames < due:
                    if num_frames == max_frames:
                        return
                    shown = newest.to_ndarray(format="rgb24") if shown is None else shown
                    yield shown
                    num_frames += 1
                newest, shown = picture, None
    except (av.error.FFmpegError, IndexError) as error:
        raise ValueError(f"{path} cannot be read as a video: {error}") from error
    if newest is None:
        raise ValueError(f"{path} has no picture")
    if num_frames <= round(last * fps, 6) and num_frames != max_frames:
        yield newest.to_ndarray(format="rgb24")
