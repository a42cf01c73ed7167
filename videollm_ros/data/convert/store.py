# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Durations and timed sentences in a temporary database, so that files of any order and size need little memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path

from videollm_ros.data.convert.checks import recording_id, seconds
from videollm_ros.data.convert.json_stream import members
from videollm_ros.data.convert.tally import AnnotationError, Tally

_BATCH = 10_000


@dataclass(frozen=True)
class Step:
    """A sentence at a time of a recording: what every reader gives and every dialogue is made of.

    `start` and `end` are seconds from the first frame; `role` is "assistant" or "user". The sentences of each
    `annotator` of a recording become a dialogue of their own.
    """

    recording: str
    start: float
    text: str
    end: float | None = None
    role: str = "assistant"
    annotator: str = ""


class Store:
    """Seconds of recordings by id, and steps by recording. SQLite keeps both in a private file that goes by itself."""

    def __init__(self) -> None:
        """Open an empty database."""
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -16384; BEGIN;"
            "CREATE TABLE durations (recording TEXT PRIMARY KEY, seconds REAL) WITHOUT ROWID;"
            "CREATE TABLE steps (recording TEXT, annotator TEXT, start REAL, finish REAL, role TEXT, text TEXT);"
        )

    def add_durations(self, path: Path, tally: Tally) -> None:
        """Read a flat JSON object, id to seconds."""
        self._database.executemany("INSERT OR REPLACE INTO durations VALUES (?, ?)", _durations(path, tally))

    def duration(self, recording: str) -> float | None:
        """Return the seconds of a recording, or None where it has no duration."""
        row = self._database.execute("SELECT seconds FROM durations WHERE recording = ?", (recording,)).fetchone()
        return None if row is None else float(row[0])

    def add_steps(self, steps: Iterable[Step]) -> int:
        """Take steps in any order and return how many they were."""
        remaining, number = iter(steps), 0
        while batch := list(islice(remaining, _BATCH)):
            rows = [(s.recording, s.annotator, s.start, s.end, s.role, s.text) for s in batch]
            self._database.executemany("INSERT INTO steps VALUES (?, ?, ?, ?, ?, ?)", rows)
            number += len(batch)
        return number

    def by_annotator(self) -> Iterator[tuple[str, list[Step]]]:
        """Yield recordings in the order of their ids, each annotator's steps by time; of one time a query is first."""
        rows = self._database.execute(
            "SELECT recording, start, text, finish, role, annotator FROM steps "
            "ORDER BY recording, annotator, start, role DESC, rowid"
        )
        for (recording, _), group in groupby(
            (Step(*row) for row in rows), lambda step: (step.recording, step.annotator)
        ):
            yield recording, list(group)

    def recordings(self) -> Iterator[str]:
        """Yield the ids that have a duration."""
        yield from (row[0] for row in self._database.execute("SELECT recording FROM durations"))

    def recordings_without_steps(self) -> Iterator[str]:
        """Yield the ids that have a duration and no step."""
        rows = self._database.execute(
            "SELECT recording FROM durations EXCEPT SELECT recording FROM steps ORDER BY recording"
        )
        yield from (row[0] for row in rows)


def _durations(path: Path, tally: Tally) -> Iterator[tuple[str, float]]:
    for name, value in members(path, "", tally):
        try:
            yield recording_id(name), seconds(value, f"duration of {name}")
        except AnnotationError as error:
            tally.error(str(path), error)
