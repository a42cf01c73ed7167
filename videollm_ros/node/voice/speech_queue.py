# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Decide what is said next: answers first, one at a time, and nothing that is out of date."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """One utterance that waits to be said aloud."""

    text: str
    is_answer: bool
    received: float
    """Seconds on any clock that never goes back."""


class SpeechQueue:
    """Lines that wait. Answers outrank proactive lines, and each kind keeps its order.

    A proactive line that has waited longer than `max_age` is dropped and counted: it tells of a moment that has
    passed. An answer is said however late, because somebody waits for it.
    """

    def __init__(self, max_age: float, capacity: int = 20) -> None:
        """Start empty.

        Args:
            max_age: seconds that a proactive line may wait.
            capacity: lines of each kind that may wait. The oldest goes first, and counts as dropped.
        """
        self.max_age, self._capacity = max_age, capacity
        self._answers: deque[Line] = deque()
        self._proactive: deque[Line] = deque()
        self.dropped = 0
        """Lines that were never said."""

    def __len__(self) -> int:
        """Return the number of lines that wait."""
        return len(self._answers) + len(self._proactive)

    def put(self, line: Line) -> None:
        """Add a line."""
        lines = self._answers if line.is_answer else self._proactive
        lines.append(line)
        if len(lines) > self._capacity:
            lines.popleft()
            self.dropped += 1

    def take(self, now: float) -> Line | None:
        """Remove and return the line to say now, None when there is none."""
        if self._answers:
            return self._answers.popleft()
        while self._proactive:
            line = self._proactive.popleft()
            if now - line.received <= self.max_age:
                return line
            self.dropped += 1
        return None

    def clear(self) -> None:
        """Drop all lines that wait."""
        self.dropped += len(self)
        self._answers.clear()
        self._proactive.clear()
