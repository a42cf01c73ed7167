# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Read what happened in a recording, and what was asked, from JSON lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_MOST_SECONDS = 4e9
"""Unix times in seconds lie below it, so that a note can say what they are. In nanoseconds it fits a bag's clock."""


class AnnotationError(ValueError):
    """Say as a sentence, with file and line, why annotations cannot be read."""


@dataclass(frozen=True)
class AnnotatedEvent:
    """Say what happened when. Times are seconds since the first image of the recording."""

    time: float
    text: str
    end: float | None = None
    """When it was over. None when it has no duration."""

    @property
    def stop(self) -> float:
        """Return when it was over, which is its own time for an event without duration."""
        return self.time if self.end is None else self.end


@dataclass(frozen=True)
class AnnotatedQuery:
    """Say what is asked when. The time is in seconds since the first image of the recording."""

    time: float
    text: str
    answer: str | None = None
    """The right answer. None when the answer is not to be judged."""
    recorded: int | None = None
    """When it was recorded, in nanoseconds on the recorder's clock. None when it does not come from the recording."""


def read_events(path: str | Path) -> list[AnnotatedEvent]:
    """Read events, one `{"time": seconds, "text": "...", "end": seconds}` a line, and order them by time.

    `end` is optional. Other keys are allowed and not read.

    Raises:
        AnnotationError: the file cannot be read, or a line is not of this form.
    """
    events = []
    for where, line in _lines(Path(path)):
        event = AnnotatedEvent(_seconds(line, "time", where), _text(line, "text", where), _end(line, where))
        events.append(event)
    return sorted(events, key=lambda event: event.time)


def read_queries(path: str | Path) -> list[AnnotatedQuery]:
    """Read queries, one `{"time": seconds, "text": "...", "answer": "..."}` a line, and order them by time.

    `answer` is optional. Other keys are allowed and not read.

    Raises:
        AnnotationError: the file cannot be read, or a line is not of this form.
    """
    queries = []
    for where, line in _lines(Path(path)):
        answer = _text(line, "answer", where) if line.get("answer") is not None else None
        queries.append(AnnotatedQuery(_seconds(line, "time", where), _text(line, "text", where), answer))
    return sorted(queries, key=lambda query: query.time)


def _lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise AnnotationError(f"{path} cannot be read as annotations: {error}.") from error
    for number, row in enumerate(text.split("\n"), 1):  # JSON may hold what splitlines() takes for the end of a line
        if not row.strip():
            continue
        where = f"{path}, line {number}"
        try:
            line = json.loads(row)
        except (ValueError, RecursionError) as error:
            raise AnnotationError(f"{where}, is not JSON: {error}.") from error
        if not isinstance(line, dict):
            shape = '{"time": 1.5, "text": "..."}'
            raise AnnotationError(f"{where}: an object like {shape} is expected, not {row[:80]}.")
        yield where, line


def _seconds(line: dict[str, Any], key: str, where: str) -> float:
    value = line.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _MOST_SECONDS:
        raise AnnotationError(
            f"{where}: {key} is a number of seconds since the first image, up to {_MOST_SECONDS:g}, "
            f"not {_shorten(value)}."
        )
    return float(value)


def _shorten(value: Any) -> str:
    try:
        text = json.dumps(value)
    except ValueError:  # an integer of thousands of digits
        return "a number of thousands of digits"
    return text if len(text) <= 40 else f"{text[:40]}..."


def _end(line: dict[str, Any], where: str) -> float | None:
    if line.get("end") is None:
        return None
    end = _seconds(line, "end", where)
    if end < line["time"]:
        raise AnnotationError(f"{where}: the end {end} s lies before the time {line['time']} s.")
    return end


def _text(line: dict[str, Any], key: str, where: str) -> str:
    value = line.get(key)
    if not isinstance(value, str) or not value.strip():
        raise AnnotationError(f"{where}: {key} is what should be said, not {_shorten(value)}.")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise AnnotationError(f"{where}: {key} holds half a character at {error.start}, a lone surrogate.") from error
    return value
