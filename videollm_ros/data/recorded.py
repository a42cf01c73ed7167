# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Read the frames of a recording: a video file, a folder of images, or an image topic of a bag."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from videollm_ros.media.bags import NANOSECONDS, Bag, BagError
from videollm_ros.media.errors import ImageError
from videollm_ros.media.images import to_rgb
from videollm_ros.media.video import VideoError, sample_frames

_BAG_SUFFIXES = (".mcap", ".db3")


class RecordingError(ValueError):
    """Say as a sentence why a recording cannot be read, and up to which time it was read."""


@dataclass(frozen=True)
class RecordedSource:
    """A recording as it is named on the command line.

    Args:
        path: the video file, the folder of images, or the bag.
        topic: the image topic of a bag. Empty takes the only one there is.
    """

    path: Path
    topic: str = ""

    @classmethod
    def parse(cls, source: str) -> RecordedSource:
        """Read `video.mp4`, `folder`, `run.mcap` or `run.mcap:/camera/image_raw`."""
        name, separator, topic = source.partition(":/")
        named = bool(separator) and Path(name).exists()
        return cls(Path(name), "/" + topic) if named else cls(Path(source))

    @property
    def recording(self) -> str:
        """Return the id: the name without suffix, or the name of the folder."""
        return self.path.name if self.path.is_dir() else self.path.stem

    @property
    def is_bag(self) -> bool:
        """Return whether it is a rosbag2 recording."""
        return self.path.suffix in _BAG_SUFFIXES or (self.path / "metadata.yaml").is_file()

    @property
    def changed(self) -> float:
        """Return when its files were changed last, in seconds since 1970."""
        files = self.path.iterdir() if self.path.is_dir() else [self.path]
        return max((file.stat().st_mtime for file in files), default=0.0)

    def frames(self, fps: float, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        """Yield the frames [start, stop) as uint8 RGB [H, W, 3]. Frame i is what is shown at i / fps seconds.

        Raises:
            RecordingError: it cannot be read, or not any further.
        """
        frame = start
        try:
            if self.is_bag:
                images: Iterator[np.ndarray] = islice(self._bag_frames(fps), start, stop)
            else:
                images = sample_frames(self.path, fps, None if stop is None else stop - start, start / fps)
            for image in images:
                yield image
                frame += 1
        except (BagError, ImageError, VideoError) as error:
            how_far = f" It was read up to {(frame - 1) / fps:.2f} s." if frame > start else ""
            where = f"{self.path}: " if isinstance(error, ImageError) else ""  # the others name it themselves
            raise RecordingError(f"{where}{error}{how_far}") from error

    def _bag_frames(self, fps: float) -> Iterator[np.ndarray]:
        """Yield the newest image at each instant. An image whose stamp goes back is left out."""
        with Bag(self.path) as bag:
            first, newest, frame = 0, None, 0
            for image in bag.images(bag.image_topic(self.topic)):
                if newest is None:
                    first = image.stamp
                elif image.stamp < newest.stamp:
                    continue
                due = round((image.stamp - first) / NANOSECONDS * fps, 6)
                if newest is not None and frame < due:
                    rgb = to_rgb(newest.message)
                    while frame < due:
                        yield rgb
                        frame += 1
                newest = image
            if newest is not None and frame <= round((newest.stamp - first) / NANOSECONDS * fps, 6):
                yield to_rgb(newest.message)
