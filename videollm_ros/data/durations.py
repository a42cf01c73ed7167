# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measure recordings: seconds from the first frame to the last one that features are made of, (frames - 1) / fps."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from videollm_ros.data.convert.checks import recording_id
from videollm_ros.data.convert.request import RequestError
from videollm_ros.data.convert.tally import AnnotationError, Tally
from videollm_ros.data.whole_file import whole_file
from videollm_ros.media.bags import NANOSECONDS, Bag, BagError
from videollm_ros.media.video import VideoError, video_duration

_BAG_SUFFIXES = (".mcap", ".db3")


@dataclass(frozen=True)
class Measured:
    """A recording: the seconds between its first and its last picture, and the stamp of the first one if it has one."""

    recording: str
    seconds: float
    start: float | None = None

    def on_grid(self, fps: float) -> float:
        """Return the seconds between the first and the last frame at `fps` Hz."""
        return math.floor(round(self.seconds * fps, 6)) / fps


def measure(source: str) -> Measured:
    """Measure a video file, a folder of images (30 Hz), or a bag (`BAG` or `BAG:/topic`).

    Only the packets' times of a video are read, not its pictures.

    Raises:
        BagError: a bag that cannot be read, or has several image topics and none is named.
        VideoError: nothing is there, or it cannot be read or holds no picture.
        AnnotationError: its name is no id.
    """
    name, separator, topic = source.partition(":/")
    path = Path(name if separator and Path(name).exists() else source)
    recording = recording_id(path.name if path.is_dir() else path.stem)
    if path.suffix in _BAG_SUFFIXES or (path / "metadata.yaml").is_file():
        return _bag(path, topic, recording)
    return Measured(recording, video_duration(path))


def _bag(path: Path, topic: str, recording: str) -> Measured:
    with Bag(path) as bag:
        stamps = [image.stamp for image in bag.images(bag.image_topic(topic))]
    return Measured(recording, (max(stamps) - stamps[0]) / NANOSECONDS, stamps[0] / NANOSECONDS)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("sources", nargs="+", help="videos, folders of images, bags (BAG or BAG:/topic)")
    parser.add_argument("--fps", type=float, default=2.0, help="frames per second of the features (default 2)")
    parser.add_argument("--output", type=Path, default=Path("durations.json"), help="default durations.json")
    parser.add_argument("--starts", type=Path, help="file for the stamps of bags' first images, which --clock needs")


def run(given: argparse.Namespace) -> int:
    """Measure; return 0, or 1 where nothing could be measured.

    Raises:
        RequestError: the rate is not above 0, or two sources have one id.
    """
    if not 0 < given.fps < math.inf:
        raise RequestError(f"--fps is a rate above 0 Hz, not {given.fps}.")
    tally = Tally()
    durations: dict[str, float] = {}
    starts: dict[str, float] = {}
    for measured in _measured(tqdm(given.sources, unit=" recordings", disable=None), tally):
        if measured.recording in durations:
            raise RequestError(f"Two recordings are named {measured.recording}, which is their id. Rename one.")
        durations[measured.recording] = measured.on_grid(given.fps)
        if measured.start is not None:
            starts[measured.recording] = measured.start
    left_out = f" Told above: {tally.summary()}." if tally.counts else ""
    if not durations:
        print(f"Nothing was written, since no recording could be measured.{left_out}")
        return 1
    write_json(durations, given.output)
    if given.starts:
        write_json(starts, given.starts)
    print(f"{given.output}: {len(durations):,} recordings, {sum(durations.values()) / 3600:.3f} hours.{left_out}")
    return 0


def _measured(sources: Iterable[str], tally: Tally) -> Iterator[Measured]:
    for source in sources:
        try:
            yield measure(source)
        except AnnotationError as error:
            tally.error(source, error)
        except (BagError, VideoError) as error:
            tally.tell("recordings that cannot be read", f"{error} It is left out.")


def write_json(values: Any, path: Path) -> None:
    """Write JSON whole or not at all.

    Raises:
        OSError: the folder cannot be written to.
    """
    with whole_file(path) as file:
        json.dump(values, file, indent=1)
