# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Drop dialogues that teach the wrong thing: those that quote times, and those that are too short or too long."""

from __future__ import annotations

import re
from collections.abc import Sequence

from videollm_ros.data.generation.runner import RejectedError
from videollm_ros.data.generation.skeleton import Skeleton

_TIME = re.compile(
    r"\b\d+:\d\d\b|\b\d+(\.\d+)?[ -]?(s|sec|secs|seconds?|min|mins|minutes?)\b(?! (of|more) )|\btime ?stamps?\b"
    r"|\bat second \d|\b(turn|frame) \d",
    re.IGNORECASE,
)
"""A time, not an order: "the second step" may be said."""


def quotes_time(text: str) -> bool:
    """Return whether a reply names a time of the recording, which no camera shows."""
    return _TIME.search(text) is not None


def check_length(skeleton: Skeleton, shortest: float, longest: float) -> None:
    """Raise unless a dialogue lasts at least `shortest` and at most `longest` seconds.

    Raises:
        RejectedError: it does not.
    """
    if skeleton.seconds < shortest:
        raise RejectedError("too short", f"It lasts {skeleton.seconds:.1f} s, less than {shortest:g} s.")
    if skeleton.seconds > longest:
        raise RejectedError("too long", f"It lasts {skeleton.seconds:.1f} s, more than {longest:g} s.")


def check_times(replies: Sequence[str]) -> None:
    """Raise when a reply quotes a time.

    Raises:
        RejectedError: one does.
    """
    for reply in replies:
        if quotes_time(reply):
            raise RejectedError("quotes times", f"A reply quotes a time: {reply[:200]!r}.", {"replies": list(replies)})
