# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Open the recordings that a command line names, with the annotations and queries of each."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from videollm_ros.evaluation.annotations import (
    AnnotatedEvent,
    AnnotatedQuery,
    AnnotationError,
    read_events,
    read_queries,
)
from videollm_ros.evaluation.arguments import score_settings
from videollm_ros.evaluation.recording import BagRecording, VideoRecording, find_videos
from videollm_ros.evaluation.scores.judged import ScoreSettings, judge
from videollm_ros.media.bags import BagError

Opened = BagRecording | VideoRecording
_Line = TypeVar("_Line")


@dataclass
class Recordings:
    """Hold what can be opened, and why the rest cannot."""

    opened: list[Opened]
    failed: dict[str, str]
    """Name -> sentence. Those that fail later come to them."""
    count: int
    """How many were named."""


@dataclass
class Annotated:
    """Hold the recordings with what happened in each, what each is asked, and how it is judged."""

    recordings: Recordings
    events: list[list[AnnotatedEvent] | None]
    queries: list[list[AnnotatedQuery]]
    scoring: ScoreSettings


def open_annotated(given: argparse.Namespace, recordings: Recordings) -> Annotated:
    """Read the annotations and queries of recordings, and check that the matcher can read every event.

    Nothing large is loaded before all of it was read.

    Raises:
        ValueError: annotations cannot be read, or what a matcher needs is missing.
    """
    events = [events_of(given.annotations, each, recordings.count) for each in recordings.opened]
    queries = [queries_of(given.queries, each) for each in recordings.opened]
    scoring = score_settings(given)
    for happened in events:
        judge([], happened or [], scoring)
    return Annotated(recordings, events, queries, scoring)


def open_recordings(given: argparse.Namespace) -> Recordings:
    """Open the recordings that the command line names. Of several, those that cannot be opened are listed.

    Raises:
        BagError, VideoError: the only recording, or every recording, cannot be opened.
        ValueError: a path holds nothing, or is given twice.
    """
    paths = _paths(given)
    names = _names([path for path, _ in paths])
    recordings = Recordings([], {}, len(paths))
    for (path, is_a_bag), name in zip(paths, names, strict=True):
        try:
            opened = (
                BagRecording(path, given.topic, given.query_topic, given.stamps, tolerant=True)
                if is_a_bag
                else VideoRecording(path, given.rate, tolerant=True)
            )
        except BagError as error:
            recordings.failed[name] = str(error)
            continue
        opened.name = name
        recordings.opened.append(opened)
    if not recordings.opened:
        raise BagError(" ".join(recordings.failed.values()))
    return recordings


def is_bag(path: Path) -> bool:
    """Return whether a path is a rosbag2 recording and not a video."""
    return path.suffix in (".mcap", ".db3") or (path / "metadata.yaml").is_file()


def events_of(annotations: Path | None, recording: Opened, count: int) -> list[AnnotatedEvent] | None:
    """Read a recording's events. None when nothing was given.

    Raises:
        AnnotationError: its annotations cannot be read.
    """
    if annotations is None:
        return None
    if count > 1 and not annotations.is_dir():
        raise AnnotationError(
            f"{annotations} is one file for {count} recordings: give a folder with NAME.jsonl for each."
        )
    return _lines_of(annotations, recording, read_events, "in which nothing happens")


def queries_of(queries: Path | None, recording: Opened) -> list[AnnotatedQuery]:
    """Read what a recording is asked: a file is asked of every recording, a folder has NAME.jsonl for each.

    Raises:
        AnnotationError: the queries cannot be read.
    """
    return [] if queries is None else _lines_of(queries, recording, read_queries, "of which nothing is asked")


def _lines_of(path: Path, recording: Opened, read: Callable[[Path], list[_Line]], empty: str) -> list[_Line]:
    if not path.is_dir():
        return read(path)
    file = path / f"{recording.name}.jsonl"
    if not file.is_file():
        raise AnnotationError(f"There is no {file}: for a recording {empty}, make it an empty file.")
    return read(file)


def _paths(given: argparse.Namespace) -> list[tuple[Path, bool]]:
    """Return the path of every recording, and whether it is a bag."""
    found: list[tuple[Path, bool]] = []
    for path in given.recordings:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise ValueError(f"{path} is neither a file nor a folder.")
        if given.command == "bag" or (given.command == "sweep" and is_bag(path)):
            if not path.exists():
                raise BagError(f"There is no {path}: the folder of a rosbag2 recording or its file is expected.")
            found.append((path, True))
        else:
            found += [(each, False) for each in find_videos(path)]
    twice = [path for path, count in Counter(path.resolve() for path, _ in found).items() if count > 1]
    if twice:
        raise ValueError(f"{twice[0]} is given twice: name each recording once.")
    return found


def _names(paths: list[Path]) -> list[str]:
    """Name recordings after their folders or files, with as much of the path as it takes to tell them apart."""
    whole = [path.resolve() for path in paths]
    bare = [path if path.is_dir() else path.with_suffix("") for path in whole]
    named = [short if bare.count(short) == 1 else path for short, path in zip(bare, whole, strict=True)]
    names = [path.name for path in named]
    for parts in range(2, max(len(path.parts) for path in named) + 1):
        double = {name for name, count in Counter(names).items() if count > 1}
        names = [
            "/".join(path.parts[-parts:]) if name in double else name for name, path in zip(names, named, strict=True)
        ]
    return names
