# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What every annotation must hold before it becomes part of a dialogue: an id, times and words."""

from __future__ import annotations

import math
from typing import Any

from videollm_ros.data.convert.tally import AnnotationError


def recording_id(value: Any) -> str:
    """Return the id of a recording, which is also the name of its files.

    Raises:
        AnnotationError: it is empty, not UTF-8, or would lead to another folder.
    """
    text = "" if value is None else str(value).strip()
    if not text:
        raise AnnotationError("annotations without a recording", "It does not say which recording it belongs to.")
    if text in (".", "..") or any(letter in "/\\" or not letter.isprintable() for letter in text):
        raise AnnotationError(
            "ids that are no name", f"The id {text[:80]!r} is a path or has control characters. An id is a plain name."
        )
    return decoded(text)


def seconds(value: Any, name: str = "time") -> float:
    """Return a time in seconds from the start of the recording.

    Raises:
        AnnotationError: it is no finite number, or it is negative.
    """
    try:
        time = math.nan if isinstance(value, bool) else float(value)
    except (OverflowError, TypeError, ValueError):
        time = math.nan
    if not math.isfinite(time):
        raise AnnotationError("times that are no number", f"The {name} is {value!r:.80}. A number was expected.")
    if time < 0:
        raise AnnotationError("negative times", f"The {name} is {time:g} s, before the recording begins.")
    return time


def span(start: Any, end: Any) -> tuple[float, float]:
    """Return start and end in seconds.

    Raises:
        AnnotationError: one is no time, or the end is before the start.
    """
    first, last = seconds(start, "start"), seconds(end, "end")
    if last < first:
        raise AnnotationError("ends before their start", f"It ends at {last:g} s, before its start at {first:g} s.")
    return first, last


def one_line(value: Any) -> str:
    """Return a text with single spaces and no line breaks; `words` says what is raised."""
    return " ".join(words(value).split())


def words(value: Any) -> str:
    """Return a text as it is.

    Raises:
        AnnotationError: it is no text, it is empty, or it is not UTF-8.
    """
    if value is not None and not isinstance(value, str):
        raise AnnotationError("texts that are none", f"The text is {value!r:.80}. A sentence was expected.")
    if value is None or not value.strip():
        raise AnnotationError("empty texts", "The text is empty.")
    return decoded(value)


def decoded(text: str) -> str:
    """Return the text if all of it could be decoded.

    Raises:
        AnnotationError: the file has bytes there that are not UTF-8.
    """
    if "\ufffd" in text or any("\ud800" <= letter <= "\udfff" for letter in text):  # half a surrogate pair
        raise AnnotationError(
            "texts that are not UTF-8", f"The text {text[:80]!r} is not UTF-8. Save the file with that encoding."
        )
    return text
