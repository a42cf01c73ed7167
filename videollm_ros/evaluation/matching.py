# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compare what was said on a stream with what happened on it: which utterance means which event, and which none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import numpy as np

from videollm_ros.evaluation.scores.assignment import assign, time_differences
from videollm_ros.evaluation.scores.intervals import Parts, interval, ratio
from videollm_ros.live import Utterance
from videollm_ros.sim import Event, Question, answer_is_right, matches, parse_event, quiet_intervals, quiet_minutes


@dataclass
class StreamScore:
    """Counts over one stream; counts of several streams add up."""

    events: int = 0
    utterances: int = 0
    """Proactive ones."""
    matched: int = 0
    repeats: int = 0
    """Unmatched utterances that say again what was said within `repeat_seconds` before."""
    false_in_quiet: int = 0
    quiet_minutes: float = 0.0
    questions: Counter[str] = field(default_factory=Counter)
    """By kind; requests to narrate, answered with what is on the table, are a kind of their own, "request"."""
    right_answers: Counter[str] = field(default_factory=Counter)
    time_differences: list[float] = field(default_factory=list)
    """Seconds between each matched utterance and its event, absolute."""

    def __iadd__(self, other: StreamScore) -> StreamScore:
        """Add the counts of another stream."""
        for name in (f.name for f in fields(self)):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self

    def parts(self) -> dict[str, Parts]:
        """Return numerator and denominator of every figure, `answer_accuracy_<kind>` for every kind that was asked."""
        return {
            "event_f1": (2 * self.matched, self.events + self.utterances),
            "event_precision": (self.matched, self.utterances),
            "event_recall": (self.matched, self.events),
            "mean_time_difference": (sum(self.time_differences), len(self.time_differences)),
            "false_per_quiet_minute": (self.false_in_quiet, self.quiet_minutes),
            "repeats_per_event": (self.repeats, self.events),
            "answer_accuracy": (self.right_answers.total(), self.questions.total()),
            **{
                f"answer_accuracy_{kind}": (self.right_answers[kind], self.questions[kind])
                for kind in sorted(self.questions)
            },
        }

    def figures(self) -> dict[str, float | None]:
        """Return the figures, None where nothing counts."""
        return {name: ratio([parts]) for name, parts in self.parts().items()}


def figure_intervals(scores: Sequence[StreamScore]) -> dict[str, tuple[float, float] | None]:
    """Return the 95 % bootstrap interval over streams of every figure, None where there is too little to tell."""
    parts = [score.parts() for score in scores]
    names = sorted({name for each in parts for name in each})
    return {name: interval([each.get(name, (0.0, 0.0)) for each in parts]) for name in names}


def score_stream(
    utterances: Sequence[Utterance],
    events: Sequence[Event],
    questions: Sequence[Question],
    seconds: float,
    tolerance: float = 1.0,
    repeat_seconds: float = 5.0,
) -> StreamScore:
    """Judge all that was said on one stream.

    A proactive utterance matches an event when it means it and comes within `tolerance` [s] of it. Each utterance and
    each event counts once, in the pairing with most pairs and the least time between them. Proactive utterances are
    false where there is nothing to say. Answers
    are the utterances whose `query_id` is the question's number.
    """
    proactive = [utterance for utterance in utterances if utterance.query is None]
    pairs = _match(proactive, events, tolerance)
    matched = {said for said, _ in pairs}
    quiet = quiet_intervals(events, seconds, tolerance)
    answers = {utterance.query_id: utterance.text for utterance in utterances if utterance.query is not None}
    right = [q for number, q in enumerate(questions) if answer_is_right(q, answers.get(str(number), ""))]
    return StreamScore(
        events=len(events),
        utterances=len(proactive),
        matched=len(pairs),
        repeats=sum(
            _is_repeat(proactive, index, repeat_seconds) for index in range(len(proactive)) if index not in matched
        ),
        false_in_quiet=sum(any(start <= u.stamp < stop for start, stop in quiet) for u in proactive),
        quiet_minutes=quiet_minutes(events, seconds, tolerance),
        questions=Counter(map(_kind, questions)),
        right_answers=Counter(map(_kind, right)),
        time_differences=[abs(proactive[said].stamp - events[event].time) for said, event in pairs],
    )


def _kind(question: Question) -> str:
    return "request" if question.style else question.kind


def _match(proactive: Sequence[Utterance], events: Sequence[Event], tolerance: float) -> list[tuple[int, int]]:
    costs = abs(time_differences([said.stamp for said in proactive], [event.time for event in events]))
    means = np.array([[matches(said.text, event) for event in events] for said in proactive], bool)
    return assign(costs, means.reshape(costs.shape) & (costs <= tolerance))


def _is_repeat(proactive: Sequence[Utterance], index: int, within: float) -> bool:
    meaning = parse_event(proactive[index].text) or proactive[index].text
    return any(
        proactive[index].stamp - earlier.stamp <= within and (parse_event(earlier.text) or earlier.text) == meaning
        for earlier in proactive[:index]
    )
