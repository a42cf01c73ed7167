# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Decide which of the phrases that a recognizer heard is a query.

The robot must not answer itself. A phrase is left out while the assistant speaks and a moment after, and when it has
the words of what the assistant has just said.
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher

ECHO_SECONDS = 10.0
"""How long the assistant's own words are remembered after they were said."""

ECHO_SIMILARITY = 0.75
"""Share of equal letters from which a phrase counts as the assistant's own. Recognizers change a few."""

WAKE_SECONDS = 6.0
"""How long the assistant listens after its wake word alone."""


class Hearing:
    """Filters the phrases of one recognizer. All times are seconds on a clock that never goes back."""

    def __init__(self, wake_word: str = "", pause: float = 1.0) -> None:
        """Start with ears open.

        Args:
            wake_word: words that a query begins with; empty takes every phrase for a query.
            pause: seconds after the assistant's speech in which nothing counts.
        """
        self.wake_word, self.pause = wake_word, pause
        self._speaking = False
        self._quiet_since = float("-inf")
        self._said: list[tuple[float, str]] = []
        self._awake_until = float("-inf")

    def speaking(self, is_speaking: bool, now: float) -> None:
        """Take note that the assistant began or ended to speak."""
        if self._speaking and not is_speaking:
            self._quiet_since = now
        self._speaking = is_speaking

    def said(self, text: str, now: float) -> None:
        """Take note of what the assistant says."""
        self._said = [(at, words) for at, words in self._said if now - at < ECHO_SECONDS]
        self._said.append((now, normalized(text)))

    def query(self, phrase: str, now: float) -> str:
        """Return the query in a phrase, without the wake word. Empty when the phrase is none."""
        words = normalized(phrase)
        if not words or self._speaking or now - self._quiet_since < self.pause or self._is_echo(words, now):
            return ""
        wake = normalized(self.wake_word)
        if not wake:
            return phrase.strip()
        if now <= self._awake_until:
            self._awake_until = float("-inf")
            return phrase.strip()
        if not (words + " ").startswith(wake + " "):
            return ""
        rest = " ".join(phrase.split()[len(wake.split()) :])
        if not normalized(rest):
            self._awake_until = now + WAKE_SECONDS
        return rest

    def _is_echo(self, words: str, now: float) -> bool:
        return any(
            now - at < ECHO_SECONDS and SequenceMatcher(None, words, own).ratio() >= ECHO_SIMILARITY
            for at, own in self._said
        )


def normalized(text: str) -> str:
    """Return the words of a text in lower case, without punctuation."""
    return " ".join(re.findall(r"[\w']+", text.casefold()))
