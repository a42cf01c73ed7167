# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Open a recording: a rosbag2 recording, a video file or a folder of images, as frames with stamps.

Whatever it is, its frames are sampled by their stamps exactly as the node samples a camera's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from videollm_ros.evaluation.annotations import AnnotatedQuery
from videollm_ros.media.bags import Bag, BagImage
from videollm_ros.media.images import to_rgb
from videollm_ros.media.video import IMAGE_SUFFIXES, VIDEO_SUFFIXES, VideoError, open_video, stated_duration


@dataclass(frozen=True)
class RecordedImage:
    """Hold one image of a recording. It becomes pixels only when it is decoded."""

    stamp: int
    """Nanoseconds on the recording's own clock."""
    frame_id: str
    decode: Callable[[], np.ndarray]
    """Return uint8 RGB [H, W, 3]. Raises `media.images.ImageError` when it cannot be decoded."""
    recorded: int = -1
    """When it was recorded, in nanoseconds on the recorder's clock. Where that is not given, it is the stamp."""

    def __post_init__(self) -> None:
        """Take the stamp where nothing else is known."""
        if self.recorded < 0:
            object.__setattr__(self, "recorded", self.stamp)


class Recording(Protocol):
    """Give the images of one recording in order, and the queries that were recorded with them."""

    @property
    def name(self) -> str:
        """Return what it is called in reports, and its folder where several recordings are evaluated."""

    def images(self) -> Iterator[RecordedImage]:
        """Yield every image in the order in which it was recorded."""

    def queries(self) -> list[AnnotatedQuery]:
        """Return the queries that were recorded with the images."""


class BagRecording:
    """Read the images of one topic of a rosbag2 recording.

    Args:
        path: folder or file of the recording.
        topic: the image topic. Empty takes the only one there is.
        query_topic: a std_msgs/String topic with queries. None reads none, empty takes the only one there is.
        stamps: "header" takes the time of the header's stamps, "recorded" the time of the recording.
        tolerant: leave out messages that cannot be read, and end where the recording breaks off. `faults` says so.

    Raises:
        BagError: the bag or the topic cannot be read.
    """

    def __init__(
        self,
        path: str | Path,
        topic: str = "",
        query_topic: str | None = None,
        stamps: str = "header",
        tolerant: bool = False,
    ) -> None:
        self.path, self._tolerant = Path(path), tolerant
        self._stamps = stamps
        self.name = _name(self.path)
        self.faults: list[str] = []
        """Sentences about what could not be read. Known once all images were read, as is `breaks_off`."""
        self.breaks_off = False
        with Bag(path) as bag:
            self.stated_seconds: float | None = bag.seconds
            self.topic = bag.image_topic(topic)
            self._query_topic = None if query_topic is None else bag.text_topic(query_topic)

    def images(self) -> Iterator[RecordedImage]:
        """Yield every image of the topic.

        Raises:
            BagError: the recording breaks off or holds a message that cannot be read.
        """
        with Bag(self.path, tolerant=self._tolerant) as bag:
            for image in bag.images(self.topic):
                frame_id = image.message.header.frame_id
                yield RecordedImage(self._stamp(image), frame_id, _decoder(image), image.recorded)
            self.faults, self.breaks_off = bag.faults, bool(bag.breaks_off)

    def queries(self) -> list[AnnotatedQuery]:
        """Return the texts of the query topic in the order in which they were recorded.

        Their time here is the stamp of the newest image recorded before them. It is right where the stamps never jump.
        Where each is asked goes by when it was `recorded`.

        Raises:
            BagError: the recording breaks off or holds a message that cannot be read.
        """
        if self._query_topic is None:
            return []
        with Bag(self.path, tolerant=self._tolerant) as bag:
            first = next(bag.images(self.topic)).stamp
            texts = list(bag.texts(self._query_topic, self.topic))
        return [
            AnnotatedQuery(((text.stamp or first) - first) / 1e9, text.text, recorded=text.recorded) for text in texts
        ]

    def _stamp(self, image: BagImage) -> int:
        return image.stamp if self._stamps == "header" else image.recorded


class VideoRecording:
    """Read a video file or a folder of images. Its clock begins at 0."""

    def __init__(self, path: str | Path, rate: float = 0.0, tolerant: bool = False) -> None:
        """Open it.

        Args:
            path: the video file or the folder of images.
            rate: Hz at which the pictures were taken. 0 takes the media's own rate, of a folder 30 Hz.
            tolerant: end where the file breaks off. `faults` says so.
        """
        self.path, self._rate, self._tolerant = Path(path), rate, tolerant
        self.name = _name(self.path)
        self.faults: list[str] = []
        """Sentences about what could not be read. Known once all pictures were read, as is `breaks_off`."""
        self.breaks_off = False

    @property
    def stated_seconds(self) -> float | None:
        """Return how long it is by its own account. None when that is not known."""
        return None if self._rate else stated_duration(self.path)

    def images(self) -> Iterator[RecordedImage]:
        """Yield every picture.

        Raises:
            VideoError: it cannot be read, or not any further.
        """
        frames = open_video(self.path, self._rate)  # raises where the first cannot be read
        try:
            for frame in frames:
                yield RecordedImage(round(frame.time * 1e9), "video", lambda frame=frame: frame.rgb)  # type: ignore[misc]
        except VideoError as error:
            if not self._tolerant:
                raise
            self.faults, self.breaks_off = [f"{error} What came before was watched."], True

    def queries(self) -> list[AnnotatedQuery]:
        """Return nothing: a video has no queries."""
        return []


def find_videos(path: str | Path) -> list[Path]:
    """Return the recordings that a path stands for: itself, or the video files of a folder that has any.

    Raises:
        VideoError: nothing is there, or the folder holds neither videos nor images.
    """
    path = Path(path)
    if not path.exists():
        raise VideoError(f"There is no {path}: a video file, a folder of videos or a folder of images is expected.")
    if path.is_file():
        return [path]
    videos = sorted(each for each in path.iterdir() if each.suffix.lower() in VIDEO_SUFFIXES)
    if not videos and not any(each.suffix.lower() in IMAGE_SUFFIXES for each in path.iterdir()):
        raise VideoError(f"{path} holds neither videos nor images.")
    return videos or [path]


def _name(path: Path) -> str:
    """Return the name of a folder, or of a file without its suffix."""
    path = path.resolve()
    return path.name if path.is_dir() else path.stem


def _decoder(image: BagImage) -> Callable[[], np.ndarray]:
    return lambda: to_rgb(image.message)
