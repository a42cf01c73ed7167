# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Count what was judged on one recording, and turn the counts of several recordings into figures.

A figure is a ratio of two counts. Over several recordings both counts are summed, so that a long recording weighs more
than a short one. Another figure is another line in `count`.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from videollm_ros.evaluation.annotations import AnnotatedEvent, AnnotatedQuery
from videollm_ros.evaluation.scores.alerting import alerting
from videollm_ros.evaluation.scores.assignment import SLACK
from videollm_ros.evaluation.scores.calibration import calibration, due_frames
from videollm_ros.evaluation.scores.intervals import Parts, interval, ratio
from videollm_ros.evaluation.scores.judged import MISSED, REPEATED, UTTERANCE_OUTCOMES, Judged, ScoreSettings, judge
from videollm_ros.evaluation.scores.pauc import pauc
from videollm_ros.evaluation.scores.quiet import Watched, quiet_spans, said_in
from videollm_ros.evaluation.scores.words import RIGHT
from videollm_ros.evaluation.transcript import Decision, Said


@dataclass(frozen=True)
class Counts:
    """Hold what was counted on one recording."""

    parts: dict[str, Parts]
    """Figure -> its numerator and denominator."""
    time_differences: list[float]
    """Seconds by which each matched utterance differs from its event, positive when it comes later."""
    totals: Counter[str] = field(default_factory=Counter)
    """Events, utterances, and utterances per kind of outcome."""


def score(said: Sequence[Said], events: Sequence[AnnotatedEvent], watched: Watched, settings: ScoreSettings) -> Counts:
    """Judge the proactive utterances of one recording and count. See `quiet.spans_of` for `watched`.

    Raises:
        ValueError: the matcher cannot read an event's text.
    """
    return count(judge(said, events, settings), watched, settings)


def count(judged: Judged, watched: Watched, settings: ScoreSettings) -> Counts:
    """Count what was judged on a recording. See `quiet.spans_of` for `watched`."""
    said, events, matched = len(judged.said), len(judged.events), len(judged.pairs)
    outcomes = Counter(judgment.outcome for judgment in judged.judgments)
    differences = [float(judged.lateness[pair]) for pair in judged.pairs]
    quiet = quiet_spans(judged.events, watched, settings.tolerance)
    false = said_in(quiet, [each.time for each in judged.said], watched)
    alerts = [alerting(times, settings.reply_span(event)) for times, event in _alerts(judged)]
    parts = {
        "event_f1": (2 * matched, said + events),
        "event_precision": (matched, said),
        "event_recall": (matched, events),
        "mean_time_difference": (sum(map(abs, differences)), matched),
        "false_per_quiet_minute": (false, sum(end - begin for begin, end in quiet) / 60),
        "repeat_rate": (outcomes[REPEATED], said),
        "pauc": (sum(_paucs(judged, settings)), events),
        "alerting_accuracy": (sum(each.accuracy for each in alerts), events),
        "alerting_share_inside": (sum(each.share_inside for each in alerts), events),
        "alerting_iou": (sum(each.iou for each in alerts), events),
    }
    totals = Counter({name: outcomes[name] for name in UTTERANCE_OUTCOMES})
    totals.update({"events": events, "utterances": said, MISSED: events - matched, "false_in_quiet": false})
    return Counts(parts, differences, totals)


def count_decisions(decisions: Sequence[Decision], events: Sequence[AnnotatedEvent]) -> dict[str, Parts]:
    """Count how well the speak probabilities of one recording are calibrated."""
    result = calibration([each.speak_probability for each in decisions], due_decisions(decisions, events))
    if result is None:
        return {}
    frames = len(decisions)
    return {
        "calibration_brier": (result.brier * frames, frames),
        "calibration_error": (result.expected_error * frames, frames),
    }


def due_decisions(decisions: Sequence[Decision], events: Sequence[AnnotatedEvent]) -> list[bool]:
    """Say for each decision whether its frame is the first of its stream to show an event."""
    times, streams = [each.time for each in decisions], [each.stream for each in decisions]
    return due_frames(times, [event.time for event in events], streams)


def count_answers(said: Sequence[Said], queries: Sequence[AnnotatedQuery], settings: ScoreSettings) -> dict[str, Parts]:
    """Count the queries of one recording that were answered, and answered right where the right answer is known."""
    answers = answers_to(queries, said)
    right = judged = 0
    for query, answer in zip(queries, answers, strict=True):
        if query.answer is not None:
            text = "" if answer is None else answer.text
            grades = settings.matcher.grades([text], [query.answer], np.ones((1, 1), bool))
            right += bool(grades[0, 0] >= RIGHT)
            judged += 1
    parts: dict[str, Parts] = {"answered": (sum(answer is not None for answer in answers), len(queries))}
    return parts | ({"answer_accuracy": (right, judged)} if judged else {})


def answers_to(queries: Sequence[AnnotatedQuery], said: Sequence[Said]) -> list[Said | None]:
    """Return the answer to each query, and None where there is none.

    A query is known by its time and its text, since the same text may be asked twice. Where two agree in both, or an
    answer does not say what it answers, the first query has the first answer.
    """
    left = [each for each in said if each.query is not None]
    found: list[Said | None] = []
    for query in queries:
        number = next((number for number, each in enumerate(left) if _answers(each, query)), None)
        found.append(None if number is None else left.pop(number))
    return found


def _answers(said: Said, query: AnnotatedQuery) -> bool:
    return said.asked in (None, query.time) and (said.query or "").split() == query.text.split()


def figures(counted: Sequence[Counts]) -> dict[str, float | None]:
    """Return every figure over all recordings. A figure with nothing to count is None."""
    values = {name: ratio([each.parts[name] for each in counted]) for name in _names(counted)}
    differences = [difference for each in counted for difference in each.time_differences]
    values["median_time_difference"] = statistics.median(map(abs, differences)) if differences else None
    return values


def intervals(counted: Sequence[Counts]) -> dict[str, tuple[float, float]]:
    """Return the 95 % interval of every figure that has one (see `intervals.interval`)."""
    found = {name: interval([each.parts[name] for each in counted]) for name in _names(counted)}
    return {name: limits for name, limits in found.items() if limits is not None}


def _names(counted: Sequence[Counts]) -> list[str]:
    """Return the figures that every recording has."""
    return [name for name in counted[0].parts if all(name in each.parts for each in counted)] if counted else []


def _paucs(judged: Judged, settings: ScoreSettings) -> list[float]:
    values = []
    for e, event in enumerate(judged.events):
        span = settings.reply_span(event)
        near = [(u, each) for u, each in enumerate(judged.said) if span[0] - SLACK <= each.time <= span[1] + SLACK]
        replies = [(min(max(each.time, span[0]), span[1]), each.text, float(judged.grades[u, e])) for u, each in near]
        values.append(pauc(replies, span, settings.time_weight))
    return values


def _alerts(judged: Judged) -> list[tuple[list[float], AnnotatedEvent]]:
    """Return the times of the right utterances about each event. One that fits several goes to the nearest in time."""
    times: list[list[float]] = [[] for _ in judged.events]
    for u, each in enumerate(judged.said):
        right = np.flatnonzero(judged.grades[u] >= RIGHT)
        if len(right):
            times[right[np.abs(judged.lateness[u, right]).argmin()]].append(each.time)
    return list(zip(times, judged.events, strict=True))
