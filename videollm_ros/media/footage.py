# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Footage as RGB frames with media times: a video file, a folder of images, or a webcam."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np

FOLDER_RATE = 30.0  # Hz, for a folder of images unless another rate is asked for
IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}


class FootageError(ValueError):
    """Footage that cannot be played, and why, as a sentence."""


@dataclass(frozen=True)
class MediaFrame:
    """One frame of the footage."""

    rgb: np.ndarray  # uint8 [H, W, 3]
    time: float  # seconds since the footage began


def open_footage(source: str, rate: float = 0.0) -> Iterator[MediaFrame]:
    """The frames of `source`, in order, each with its media time.

    Args:
        source: a video file, a folder of images (in the order of their names), or a webcam: /dev/video0 or 0.
        rate: Hz at which the frames are played; 0: the media's own rate (of a folder: 30).

    Raises:
        FootageError: nothing is there, it cannot be read, or it holds no picture.
    """
    path = Path(source)
    if source.isdigit() or source.startswith("/dev/video"):
        return _webcam(source, rate)
    if not source or not path.exists():
        raise FootageError(f"There is no {source!r}: a video file, a folder of images or a webcam (0) is expected.")
    frames = _retimed(_folder(path) if path.is_dir() else _video(path), rate)
    first = next(frames, None)  # what cannot be read is said now, not once the graph is running
    if first is None:
        raise FootageError(f"{source} holds no picture that can be read.")
    return itertools.chain([first], frames)


def _video(path: Path) -> Iterator[MediaFrame]:
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise FootageError(f"{path} has no video stream.")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            start = None
            for frame in container.decode(stream):
                if frame.time is None:
                    continue
                start = frame.time if start is None else start
                yield MediaFrame(frame.to_ndarray(format="rgb24"), frame.time - start)
    except av.error.FFmpegError as error:
        raise FootageError(f"{path} cannot be read as a video: {error.strerror or error}.") from error


def _folder(path: Path) -> Iterator[MediaFrame]:
    images = sorted(each for each in path.iterdir() if each.suffix.lower() in IMAGE_SUFFIXES)
    for index, image in enumerate(images):
        bgr = cv2.imread(str(image), cv2.IMREAD_COLOR)
        if bgr is None:
            raise FootageError(f"{image} cannot be read as an image.")
        yield MediaFrame(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), index / FOLDER_RATE)


def _webcam(source: str, rate: float) -> Iterator[MediaFrame]:
    device = int(source.removeprefix("/dev/video"))
    capture = cv2.VideoCapture(device)
    if not capture.isOpened():
        raise FootageError(f"The webcam /dev/video{device} cannot be opened: is it connected, and not in use?")
    if rate:
        capture.set(cv2.CAP_PROP_FPS, rate)
    return _captured(capture, device)


def _captured(capture: cv2.VideoCapture, device: int) -> Iterator[MediaFrame]:
    start = time.monotonic()
    try:
        while True:
            came, bgr = capture.read()
            if not came:
                raise FootageError(f"The webcam /dev/video{device} gives no more images.")
            yield MediaFrame(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), time.monotonic() - start)
    finally:
        capture.release()


def _retimed(frames: Iterator[MediaFrame], rate: float) -> Iterator[MediaFrame]:
    """The same frames at `rate` Hz; at their own times when it is 0."""
    if not rate:
        return frames
    return (MediaFrame(frame.rgb, index / rate) for index, frame in enumerate(frames))
