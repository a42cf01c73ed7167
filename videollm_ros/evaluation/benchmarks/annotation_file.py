# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Read the public JSON annotations of a benchmark. Every value is checked before a model runs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Fields:
    """Read the fields of one JSON object of the annotations.

    Every method raises ValueError, as a sentence with the file and the entry, when a field is missing or has another
    form.
    """

    where: str
    """File and entry, for messages."""
    values: Any

    def __post_init__(self) -> None:
        """Check that it is an object."""
        if not isinstance(self.values, dict):
            raise ValueError(f"{self.where}: an object is expected, not {_shown(self.values)}.")

    def value(self, name: str) -> Any:
        """Return a field as it stands."""
        if name not in self.values:
            raise ValueError(f"{self.where} has no {name!r}.")
        return self.values[name]

    def text(self, name: str) -> str:
        """Return a text. A number is taken as its digits."""
        return self._text(name, self.value(name))

    def texts(self, name: str) -> list[str]:
        """Return a list of texts."""
        return [self._text(name, each) for each in self._list(name)]

    def seconds(self, name: str) -> float:
        """Return a time, written as a number of seconds or as [[hours:]minutes:]seconds."""
        return self._seconds(name, self.value(name))

    def span(self, name: str) -> tuple[float, float]:
        """Return the beginning and the end of a span in seconds."""
        times = [self._seconds(name, each) for each in self._list(name)]
        if len(times) != 2 or not times[0] < times[1]:
            raise self._fail(name, "a beginning and a later end in seconds", self.value(name))
        return times[0], times[1]

    def integer(self, name: str, below: float = math.inf) -> int:
        """Return a whole number from 0 to less than `below`."""
        value = self.value(name)
        try:
            number = int(value)
        except (TypeError, ValueError, OverflowError):
            number = -1
        if (isinstance(value, float) and value != number) or not 0 <= number < below:
            limit = "" if below == math.inf else f" below {below:g}"
            raise self._fail(name, f"a whole number from 0{limit}", value)
        return number

    def objects(self, name: str) -> Iterator[Fields]:
        """Yield the fields of each object of a list."""
        for number, each in enumerate(self._list(name), 1):
            yield Fields(f"{self.where}, {name} {number}", each)

    def _list(self, name: str) -> list[Any]:
        values = self.value(name)
        if not isinstance(values, list):
            raise self._fail(name, "a list", values)
        return values

    def _text(self, name: str, value: Any) -> str:
        text = str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
        if not isinstance(text, str) or any("\ud800" <= letter <= "\udfff" for letter in text):
            raise self._fail(name, "a text", value)
        return text

    def _seconds(self, name: str, value: Any) -> float:
        seconds = parse_seconds(value)
        if seconds is None:
            raise self._fail(name, "a time in seconds that is not negative", value)
        return seconds

    def _fail(self, name: str, expected: str, value: Any) -> ValueError:
        return ValueError(f"{self.where}: {name!r} is {_shown(value)}, and {expected} is expected.")


def parse_seconds(value: Any) -> float | None:
    """Return the seconds of a number, or of a text like [[hours:]minutes:]seconds. None where it is no such time.

    >>> parse_seconds("00:01:30")
    90.0
    >>> parse_seconds("-00:01:00") is None
    True
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    parts = value.split(":") if isinstance(value, str) else [value]
    seconds = 0.0
    try:
        for part in map(float, parts):
            if not (0 <= part < math.inf) or math.copysign(1, part) < 0:
                return None
            seconds = 60 * seconds + part
    except (ValueError, OverflowError):
        return None
    return seconds if len(parts) <= 3 else None


def _shown(value: Any) -> str:
    return ascii(value)[:80]


def read_entries(path: Path) -> list[Fields]:
    """Return the entries of a file that holds a JSON list of objects.

    Raises:
        ValueError: it holds something else.
        OSError: it cannot be read.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON: {error}.") from error
    if not isinstance(entries, list):
        raise ValueError(f"{path} must hold a JSON list of objects.")
    return [Fields(f"{path}: entry {number}", entry) for number, entry in enumerate(entries, 1)]
