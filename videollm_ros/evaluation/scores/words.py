# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Grade whether an utterance means an event: by its exact words, or by the simulator's parser.

Grades are those of ProactiveVideoQA's judge, less one: 2 for right, 1 for partly right, 0 for wrong.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Hashable, Sequence
from typing import Protocol

import numpy as np

from videollm_ros.sim import parse_event

RIGHT, PARTLY, WRONG = 2, 1, 0


class Matcher(Protocol):
    """Decide what an utterance means. Another way to compare texts is another class with these methods."""

    name: str

    def grades(self, said: Sequence[str], meant: Sequence[str], wanted: np.ndarray) -> np.ndarray:
        """Grade each utterance for each event: [U, E] integers 0 to 2. Only pairs where `wanted` is true count."""

    def costs(self, said: Sequence[str], meant: Sequence[str], lateness: np.ndarray) -> np.ndarray:
        """Return what pairing each utterance with each event costs, [U, E]. `lateness` is in seconds."""

    def meaning(self, text: str) -> Hashable:
        """Return something that is equal for two utterances that say the same."""

    def mistake(self, said: str, meant: str) -> str:
        """Name what is wrong with an utterance about an event: words, object or action."""


def normalize(text: str) -> str:
    """Return a text without case, without final punctuation, and with single spaces."""
    folded = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    while folded and (folded[-1].isspace() or unicodedata.category(folded[-1]).startswith("P")):
        folded = folded[:-1]
    return folded


class ExactMatcher:
    """Take two texts for the same when they are equal after case and final punctuation."""

    name = "exact"

    def grades(self, said: Sequence[str], meant: Sequence[str], wanted: np.ndarray) -> np.ndarray:
        """Grade 2 where the words are equal, 0 elsewhere."""
        return grade_each(said, meant, lambda one, other: RIGHT if one == other else WRONG, normalize)

    def costs(self, said: Sequence[str], meant: Sequence[str], lateness: np.ndarray) -> np.ndarray:
        """Return the time between the two in seconds."""
        return np.asarray(np.abs(lateness))

    def meaning(self, text: str) -> Hashable:
        """Return the normalized words."""
        return normalize(text)

    def mistake(self, said: str, meant: str) -> str:
        """Return words: exact words tell no more."""
        return "words"


class SimulatorMatcher(ExactMatcher):
    """Compare what sentences of the tabletop simulator mean: an action (appear, move, ...) and an object (red cup).

    Raises:
        ValueError: an event is not a sentence of the simulator. (From `grades`.)
    """

    name = "simulator"

    def grades(self, said: Sequence[str], meant: Sequence[str], wanted: np.ndarray) -> np.ndarray:
        """Grade 2 where action and object are right, 1 where one of them is, 0 elsewhere."""
        for text in meant:
            if parse_event(text) is None:
                raise ValueError(f"{text!r} is no event of the simulator: take --match exact for these annotations.")
        return grade_each(said, meant, _grade_meanings, parse_event)

    def meaning(self, text: str) -> Hashable:
        """Return action and object, or the normalized words of what is no sentence of the simulator."""
        return parse_event(text) or normalize(text)

    def mistake(self, said: str, meant: str) -> str:
        """Name what is wrong: object, action, or words where both are."""
        one, other = parse_event(said), parse_event(meant)
        if one is None or other is None or _grade_meanings(one, other) != PARTLY:
            return "words"
        return "object" if one[0] == other[0] else "action"


def _grade_meanings(one: tuple[str, str, str] | None, other: tuple[str, str, str] | None) -> int:
    if one is None or other is None:
        return WRONG
    return (one[0] == other[0]) + (one[1:] == other[1:])


def grade_each(said: Sequence[str], meant: Sequence[str], grade, read) -> np.ndarray:  # type: ignore[no-untyped-def]
    """Grade all pairs [U, E] with `grade(read(said), read(meant))`, reading every text once."""
    events = [read(text) for text in meant]
    rows = [[grade(one, other) for other in events] for one in map(read, said)]
    return np.array(rows, int).reshape(len(said), len(meant))
