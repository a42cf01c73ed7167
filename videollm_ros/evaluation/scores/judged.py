# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Judge everything that was said on one recording: which utterance tells which event, and what the others are."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from videollm_ros.evaluation.annotations import AnnotatedEvent
from videollm_ros.evaluation.scores.assignment import SLACK, assign, time_differences
from videollm_ros.evaluation.scores.words import RIGHT, ExactMatcher, Matcher
from videollm_ros.evaluation.transcript import Said

MATCHED, LATE, EARLY, REPEATED, FALSE = "matched", "late", "early", "repeated", "false"
WRONG = {"words": "wrong_words", "object": "wrong_object", "action": "wrong_action"}
UTTERANCE_OUTCOMES = (MATCHED, LATE, EARLY, REPEATED, *WRONG.values(), FALSE)
MISSED = "missed"
"""An event that nobody told in time: not at all, late, early, or wrongly."""


@dataclass(frozen=True)
class ScoreSettings:
    """Say how transcripts are judged.

    Raises:
        ValueError: a number of seconds is negative.
    """

    tolerance: float = 1.0
    """Seconds between an event and the utterance that tells it."""
    reply_seconds: float = 2.0
    """Seconds that a reply to an event without an end may take to count for PAUC."""
    repeat_seconds: float = 5.0
    """An unmatched utterance that says again what was said within so many seconds is a repeat."""
    late_seconds: float = 5.0
    """A right utterance beyond the tolerance, up to so many seconds off, is late or early and not false."""
    time_weight: float = 0.5
    """w of PAUC."""
    every_seconds: float = 10.0
    """How often the trivial baseline speaks."""
    matcher: Matcher = field(default_factory=ExactMatcher)

    def __post_init__(self) -> None:
        """Check the values."""
        for name in ("tolerance", "reply_seconds", "repeat_seconds", "late_seconds", "every_seconds"):
            value = getattr(self, name)
            if not 0 <= value < math.inf or (value == 0 and name in ("reply_seconds", "every_seconds")):
                raise ValueError(f"{name} is a number of seconds, not {value}.")

    def reply_span(self, event: AnnotatedEvent) -> tuple[float, float]:
        """Return the first and last second at which a reply to the event counts for PAUC and alerting."""
        if event.end is not None and event.end > event.time:
            return event.time, event.end
        return event.time, event.time + self.reply_seconds


@dataclass(frozen=True)
class Judgment:
    """Say what an utterance is."""

    outcome: str
    """One of `UTTERANCE_OUTCOMES`."""
    event: int | None = None
    """Number of the event that it tells, tells late or early, or tells wrongly."""


@dataclass(frozen=True)
class Judged:
    """Hold the verdict on one recording."""

    said: list[Said]
    """The proactive utterances, in order of time."""
    events: list[AnnotatedEvent]
    judgments: list[Judgment]
    """One per utterance."""
    lateness: np.ndarray
    """How much later each utterance comes than each event, [U, E] in seconds."""
    grades: np.ndarray
    """How right each utterance is about each event, [U, E] from 0 to 2."""

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Return the utterances and the events that they tell."""
        return [(u, j.event) for u, j in enumerate(self.judgments) if j.outcome == MATCHED and j.event is not None]

    @property
    def told(self) -> set[int]:
        """Return the numbers of the events that were told in time."""
        return {event for _, event in self.pairs}

    def describe(self) -> dict[str, list[dict[str, Any]]]:
        """Return what happened and what became of what was said, as they stand in metrics.json."""
        events = [{"time": event.time, "text": event.text} | _end(event) for event in self.events]
        judgments = [
            {"time": said.time, "text": said.text, "outcome": judgment.outcome, "event": judgment.event}
            for said, judgment in zip(self.said, self.judgments, strict=True)
        ]
        return {"events": events, "judgments": judgments}


def _end(event: AnnotatedEvent) -> dict[str, float]:
    return {} if event.end is None else {"end": event.end}


def judge(said: Sequence[Said], events: Sequence[AnnotatedEvent], settings: ScoreSettings) -> Judged:
    """Judge proactive utterances against events.

    Utterances and events are paired one to one: as many right ones within the tolerance as possible, then with the
    smallest total difference in time. What is left over is, in this order, a repeat of what was said shortly before, a
    right utterance that comes late or early, a wrong one about an event that nobody told, or false.

    Raises:
        ValueError: the matcher cannot read an event's text.
    """
    said = sorted(said, key=lambda each: each.time)
    texts, meant = [each.text for each in said], [event.text for event in events]
    lateness = time_differences([each.time for each in said], [event.time for event in events])
    replies = [settings.reply_span(event)[1] - event.time for event in events]
    reach = np.maximum(np.array(replies, float), max(settings.tolerance, settings.late_seconds)) + SLACK
    grades = settings.matcher.grades(texts, meant, np.abs(lateness) <= reach)
    costs = settings.matcher.costs(texts, meant, lateness)
    judgments: dict[int, Judgment] = {}
    left = _Left(np.ones(len(said), bool), np.ones(len(events), bool))

    in_time, right = np.abs(lateness) <= settings.tolerance + SLACK, grades >= RIGHT
    for u, e in left.take(assign(costs, in_time & right)):
        judgments[u] = Judgment(MATCHED, e)
    for u in _repeats(said, left, [settings.matcher.meaning(text) for text in texts], settings.repeat_seconds):
        judgments[u] = Judgment(REPEATED)
    near = np.abs(lateness) <= settings.late_seconds + SLACK
    for u, e in left.take(assign(np.abs(lateness), near & right & left.both)):
        judgments[u] = Judgment(LATE if lateness[u, e] > 0 else EARLY, e)
    for u, e in left.take(assign(np.abs(lateness), in_time & left.both)):
        judgments[u] = Judgment(WRONG[settings.matcher.mistake(texts[u], meant[e])], e)
    verdict = [judgments.get(u, Judgment(FALSE)) for u in range(len(said))]
    return Judged(list(said), list(events), verdict, lateness, grades)


@dataclass
class _Left:
    """Keep the utterances [U] and events [E] that nothing was found for yet."""

    said: np.ndarray
    events: np.ndarray

    @property
    def both(self) -> np.ndarray:
        return np.asarray(self.said[:, None] & self.events[None, :])

    def take(self, pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
        for u, e in pairs:
            self.said[u] = self.events[e] = False
        return pairs


def _repeats(said: Sequence[Said], left: _Left, meanings: Sequence[Hashable], within: float) -> list[int]:
    """Find unmatched utterances that say what was said shortly before, and take them out of what is left."""
    newest: dict[Hashable, float] = {}
    repeats = []
    for u, (each, meaning) in enumerate(zip(said, meanings, strict=True)):
        if left.said[u] and each.time - newest.get(meaning, -np.inf) <= within + SLACK:
            repeats.append(u)
            left.said[u] = False
        newest[meaning] = each.time
    return repeats
