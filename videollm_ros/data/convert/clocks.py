# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From the clock of an annotation to seconds since the first frame of its recording."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from videollm_ros.data.convert.request import RequestError
from videollm_ros.data.convert.tally import AnnotationError

CLOCKS = ("seconds", "frames", "stamp", "utc")


@dataclass(frozen=True)
class Clock:
    """How times are written.

    Args:
        kind: "seconds" from the first frame (also h:m:s), "frames" (numbers of frames or ticks), "stamp" (the clock of
            the images' header stamps), "utc" (ISO 8601 or seconds since 1970).
        rate: units per second of a number: 30 for frames of a 30 Hz video, 1e9 for stamps in nanoseconds.
        offset: seconds that are added to every time.
    """

    kind: str = "seconds"
    rate: float = 1.0
    offset: float = 0.0

    @property
    def absolute(self) -> bool:
        """Return whether the clock does not begin with the recording."""
        return self.kind in ("stamp", "utc")

    def seconds(self, value: Any, begin: float | None) -> float:
        """Return the seconds since the first frame, which `begin` is the time of on this clock.

        Raises:
            AnnotationError: it is no time, or the beginning of the recording is needed and not known.
        """
        since = _number(value, self.kind) if isinstance(value, str) else value
        if isinstance(since, bool) or not isinstance(since, (int, float)):
            raise AnnotationError("times that are no number", f"The time is {value!r:.80}. A number was expected.")
        time = since / (1.0 if self.kind == "utc" or _has_colons(value) else self.rate)
        if begin is None:
            raise AnnotationError(
                "recordings whose beginning is not known", "Its clock needs the time of the first frame in --starts."
            )
        return time - begin + self.offset


def _has_colons(value: Any) -> bool:
    return isinstance(value, str) and ":" in value


def _number(text: str, kind: str) -> float | str:
    """Return the number in a text, 3723.5 for "1:02:03.5" or "1:02:03,5"; the text itself where there is none."""
    text = text.strip()
    try:
        if kind == "utc" and not text.replace(".", "", 1).isdigit():
            text = re.sub(r"\.(\d+)", lambda part: "." + part.group(1)[:6].ljust(6, "0"), text)  # for Python 3.10
            moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
            return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
        sign, digits = (-1.0, text[1:]) if text.startswith("-") else (1.0, text)
        parts = [float(part) for part in digits.replace(",", ".").split(":")]
        return sign * sum(part * 60.0**power for power, part in enumerate(reversed(parts)))
    except ValueError:
        return text


def read_starts(path: Path | None) -> dict[str, float]:
    """Read when recordings begin: a JSON object, id to the seconds of the first frame on its clock.

    Raises:
        RequestError: the file cannot be read or has another form.
    """
    if path is None:
        return {}
    try:
        return {name: float(time) for name, time in json.loads(path.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise RequestError(f"--starts {path} must hold an object of ids and seconds: {error}.") from error
