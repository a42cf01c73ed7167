# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Make up transcripts that need no model, so that every figure has something trivial to stand beside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from videollm_ros.evaluation.annotations import AnnotatedEvent
from videollm_ros.evaluation.scores.figures import Counts, figures, score
from videollm_ros.evaluation.scores.judged import ScoreSettings
from videollm_ros.evaluation.scores.quiet import Watched, spans_of
from videollm_ros.evaluation.transcript import Said

_DRAWS = 20  # of random times
_MOST_UTTERANCES = 20_000  # of one recording


def every_seconds(events: Sequence[AnnotatedEvent], watched: Watched, period: float) -> list[Said]:
    """Say the most frequent sentence of the annotations again and again, first after one period."""
    if not events:
        return []
    counted = Counter(event.text for event in events)
    text = min(counted, key=lambda each: (-counted[each], each))
    times = np.arange(period, _length(watched) + 1e-9, period)
    return [_said(time, text) for time in _times_of(times, watched)]


def random_times(events: Sequence[AnnotatedEvent], watched: Watched, seed: int) -> list[Said]:
    """Say every right sentence once, at a random time of what was watched."""
    times = np.random.default_rng(seed).uniform(0.0, _length(watched), len(events))
    said = [_said(time, event.text) for time, event in zip(_times_of(times, watched), events, strict=True)]
    return sorted(said, key=lambda each: each.time)


def baselines(
    recordings: Sequence[tuple[Sequence[AnnotatedEvent], Watched]], settings: ScoreSettings
) -> dict[str, dict[str, float | None]]:
    """Score the trivial baselines on recordings, given as events and what was watched.

    Random times are averaged over draws. A period that would make too many utterances is made longer.
    """
    longest = max((_length(watched) for _, watched in recordings), default=0.0)
    period = max(settings.every_seconds, longest / _MOST_UTTERANCES)
    often = f"a sentence every {period:g} s"
    counted: dict[str, list[Counts]] = {"silence": [], often: [], "right sentences at random times": []}
    for number, (events, watched) in enumerate(recordings):
        counted["silence"].append(score([], events, watched, settings))
        counted[often].append(score(every_seconds(events, watched, period), events, watched, settings))
        for draw in range(_DRAWS):
            said = random_times(events, watched, seed=_DRAWS * number + draw)
            counted["right sentences at random times"].append(score(said, events, watched, settings))
    return {name: figures(counts) for name, counts in counted.items()}


def _length(watched: Watched) -> float:
    return sum(end - begin for begin, end in spans_of(watched))


def _times_of(offsets: np.ndarray, watched: Watched) -> np.ndarray:
    """Turn seconds of what was watched, counted over all its spans, into times of the recording."""
    spans = np.array(spans_of(watched))
    begins = np.concatenate([[0.0], np.cumsum(spans[:, 1] - spans[:, 0])])[:-1]
    which = np.maximum(np.searchsorted(begins, offsets, side="left") - 1, 0)
    return np.asarray(spans[which, 0] + (offsets - begins[which]))


def _said(time: float, text: str) -> Said:
    return Said(round(time * 1e9), float(time), text)
