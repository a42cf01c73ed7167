# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Read RGB frames with media times from a video file, a folder of images or a webcam.

A file is opened as nothing but itself: FFmpeg may use no protocol but `file` and no format that names other files.
"""

from __future__ import annotations

import functools
import itertools
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np

from videollm_ros.media.images import MAX_PIXELS

FOLDER_RATE = 30.0
"""Hz, for a folder of images unless another rate is asked for."""

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}
VIDEO_SUFFIXES = {
    ".mp4",
    ".m4v",
    ".mov",
    ".mkv",
    ".webm",
    ".avi",
    ".mpg",
    ".mpeg",
    ".ts",
    ".mts",
    ".ogv",
    ".flv",
    ".wmv",
}

_OPTIONS = {
    "protocol_whitelist": "file",
    # Containers and raw streams. Playlists (hls, concat, dash) are left out, since they open other files.
    "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,ogg,flv,live_flv,asf,"
    "gif,h264,hevc,av1,ivf,obu,m4v,mjpeg,mxf,nut,yuv4mpegpipe,dv,wtv,image2pipe",
}


class VideoError(ValueError):
    """Say as a sentence why a video cannot be read, and how far it was read."""


@dataclass(frozen=True)
class VideoFrame:
    """Hold one frame of a video, which becomes pixels only when somebody looks at it."""

    picture: av.VideoFrame | np.ndarray
    time: float
    """Seconds since the video began."""

    @functools.cached_property
    def rgb(self) -> np.ndarray:
        """Return uint8 [H, W, 3]."""
        return self.picture if isinstance(self.picture, np.ndarray) else self.picture.to_ndarray(format="rgb24")


def open_video(source: str | Path, rate: float = 0.0, start: float = 0.0) -> Iterator[VideoFrame]:
    """Open a video and return its frames in order, each with its media time.

    Args:
        source: a video file, a folder of images (in the order of their names), or a webcam: /dev/video0 or 0.
        rate: Hz at which the frames are played. 0 takes the media's own rate, of a folder 30 Hz.
        start: seconds to begin at: the first frame is the one that is shown then. Not for webcams.

    Raises:
        VideoError: nothing is there, it cannot be read, or it holds no picture. It comes at once where the first
            picture cannot be read, and otherwise when the reading gets there.
    """
    source = str(source)
    if source.isdigit() or source.startswith("/dev/video"):
        return _webcam(source, rate)
    if start < 0:
        raise VideoError(f"A video begins at 0 s, and {start} s was asked for.")
    path = Path(source)
    own_rate = rate if path.is_dir() and rate else 0.0
    pictures = _pictures(source, start, own_rate)
    first = next(pictures, None)  # what cannot be read is said now, not once a graph is running
    if first is None:
        raise VideoError(f"{source} holds no picture that can be read.")
    frames = itertools.chain([first], pictures)
    if rate and not own_rate:
        return (VideoFrame(frame.picture, start + index / rate) for index, frame in enumerate(frames))
    return frames


def sample_frames(
    source: str | Path, fps: float, max_frames: int | None = None, start: float = 0.0
) -> Iterator[np.ndarray]:
    """Sample a file or a folder at a steady rate: frame i is what is shown at `start` + i / fps seconds.

    That is the newest picture with a stamp not after it.

    Yields:
        uint8 RGB [H, W, 3] as the video is read, up to the last picture's stamp. Only pictures that are shown are
        converted. A picture that is shown twice is the same array.

    Raises:
        ValueError: `fps` is not above 0, or a `VideoError` as of `open_video`. (When the first frame is taken.)
    """
    if not (fps > 0 and math.isfinite(fps)):
        raise ValueError(f"fps is a rate in Hz above 0: {fps}")
    num_frames, newest, last = 0, None, 0.0
    for picture in _pictures(str(source), start):
        # Every instant before this picture shows the one before it.
        last = picture.time - start
        due = math.ceil(round(last * fps, 6))
        while newest is not None and num_frames < due:
            if num_frames == max_frames:
                return
            yield newest.rgb
            num_frames += 1
        newest = picture
    if newest is None:
        raise VideoError(f"{source} has no picture.")
    if num_frames <= round(last * fps, 6) and num_frames != max_frames:
        yield newest.rgb


def video_duration(source: str | Path) -> float:
    """Return the media time of the last picture of a file or a folder in seconds.

    All packets of a file are read but not decoded, since what its header says is often wrong.

    Raises:
        VideoError: as of `open_video`.
    """
    path = Path(source)
    if path.is_dir():
        return (len(_image_files(path)) - 1) / FOLDER_RATE
    first, last = math.inf, -math.inf
    try:
        with _container(path) as container:
            for packet in container.demux(video=0):
                if packet.pts is not None:
                    seconds = float(packet.pts * packet.time_base)
                    first, last = min(first, seconds), max(last, seconds)
    except (av.error.FFmpegError, IndexError) as error:
        raise VideoError(f"{path} cannot be read as a video: {_reason(error)}.") from error
    if last < first:
        raise VideoError(f"{path} has no picture.")
    return last - first


def stated_duration(source: str | Path) -> float | None:
    """Return what a file's header, or the number of images of a folder, says of its length in seconds.

    It costs nothing, but may be wrong. None when nothing is said, or when it cannot be read.
    """
    path = Path(source)
    try:
        if path.is_dir():
            return video_duration(path)
        with _container(path) as container:
            return None if container.duration is None else container.duration / av.time_base
    except (av.error.FFmpegError, VideoError, OSError):
        return None


def _pictures(source: str, start: float, folder_rate: float = 0.0) -> Iterator[VideoFrame]:
    """Read the pictures from the one shown at `start` on."""
    path = Path(source)
    if not source or not path.exists():
        raise VideoError(f"There is no {source!r}: a video file, a folder of images or a webcam (0) is expected.")
    pictures = _folder(path, folder_rate or FOLDER_RATE) if path.is_dir() else _file(path, start)
    before = None
    for picture in pictures:
        if picture.time > start + 1e-6 and before is not None:
            yield before
            before = None
        if picture.time > start + 1e-6:
            yield picture
        else:
            before = picture
    if before is not None:
        yield before


def _container(path: Path) -> av.container.InputContainer:
    return av.open(f"file:{path.resolve()}", options=_OPTIONS)


def _file(path: Path, start: float) -> Iterator[VideoFrame]:
    reached: float | None = None
    try:
        with _container(path) as container:
            if not container.streams.video:
                raise VideoError(f"{path} has no video stream.")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            began = _first_time(container) if start else None
            if began is not None and stream.time_base is not None:
                container.seek(int((began + start) / stream.time_base), stream=stream)
            for picture in container.decode(stream):
                if picture.time is None:
                    continue
                began = picture.time if began is None else began
                reached = picture.time - began
                _check_size(path, picture.width, picture.height)
                yield VideoFrame(picture, reached)
    except av.error.FFmpegError as error:
        how_far = "" if reached is None else f" past {reached:.2f} s"
        raise VideoError(f"{path} cannot be read as a video{how_far}: {_reason(error)}.") from error


def _first_time(container: av.container.InputContainer) -> float | None:
    """Find the time stamp that the video begins with."""
    for picture in container.decode(video=0):
        if picture.time is not None:
            return float(picture.time)
    return None


def _image_files(path: Path) -> list[Path]:
    images = sorted(each for each in path.iterdir() if each.suffix.lower() in IMAGE_SUFFIXES)
    if not images:
        raise VideoError(
            f"{path} holds no picture that can be read: {', '.join(sorted(IMAGE_SUFFIXES))} are looked for."
        )
    return images


def _folder(path: Path, rate: float) -> Iterator[VideoFrame]:
    for index, image in enumerate(_image_files(path)):
        try:
            bgr = cv2.imread(str(image), cv2.IMREAD_COLOR)
        except cv2.error as error:  # more pixels than OpenCV was told to take
            raise VideoError(f"{image} cannot be read as an image: {error.err or 'it is too large'}.") from error
        if bgr is None:
            raise VideoError(f"{image} cannot be read as an image.")
        _check_size(image, bgr.shape[1], bgr.shape[0])
        yield VideoFrame(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), index / rate)


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise VideoError(f"{path} has pictures of {width}x{height} pixels, and at most {MAX_PIXELS} are read.")


def _webcam(source: str, rate: float) -> Iterator[VideoFrame]:
    device = int(source.removeprefix("/dev/video"))
    capture = cv2.VideoCapture(device)
    if not capture.isOpened():
        raise VideoError(f"The webcam /dev/video{device} cannot be opened: is it connected, and not in use?")
    if rate:
        capture.set(cv2.CAP_PROP_FPS, rate)
    frames = _captured(capture, device)
    if rate:
        return (VideoFrame(frame.picture, index / rate) for index, frame in enumerate(frames))
    return frames


def _captured(capture: cv2.VideoCapture, device: int) -> Iterator[VideoFrame]:
    start = time.monotonic()
    try:
        while True:
            came, bgr = capture.read()
            if not came:
                raise VideoError(f"The webcam /dev/video{device} gives no more images.")
            yield VideoFrame(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), time.monotonic() - start)
    finally:
        capture.release()


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", "") or error)
