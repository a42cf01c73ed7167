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
from videollm_ros.evaluation.transcript import Said

_DRAWS = 20  # of random times


def every_seconds(events: Sequence[AnnotatedEvent], seconds: float, period: float) -> list[Said]:
    """Say the most frequent sentence of the annotations again and again, first after one period."""
    if not events:
        return []
    counted = Counter(event.text for event in events)
    text = min(counted, key=lambda each: (-counted[each], each))
    return [_said(time, text) for time in np.arange(period, seconds + 1e-9, period)]


def random_times(events: Sequence[AnnotatedEvent], seconds: float, seed: int) -> list[Said]:
    """Say every right sentence once, at a random time of the recording."""
    times = np.random.default_rng(seed).uniform(0.0, seconds, len(events))
    return sorted((_said(time, event.text) for time, event in zip(times, events, strict=True)), key=lambda s: s.time)


def baselines(
    recordings: Sequence[tuple[Sequence[AnnotatedEvent], float]], settings: ScoreSettings
) -> dict[str, dict[str, float | None]]:
    """Score the trivial baselines on recordings, given as events and seconds. Random times are averaged over draws."""
    often = f"a sentence every {settings.every_seconds:g} s"
    counted: dict[str, list[Counts]] = {"silence": [], often: [], "right sentences at random times": []}
    for number, (events, seconds) in enumerate(recordings):
        counted["silence"].append(score([], events, seconds, settings))
        counted[often].append(score(every_seconds(events, seconds, settings.every_seconds), events, seconds, settings))
        for draw in range(_DRAWS):
            said = random_times(events, seconds, seed=_DRAWS * number + draw)
            counted["right sentences at random times"].append(score(said, events, seconds, settings))
    return {name: figures(counts) for name, counts in counted.items()}


def _said(time: float, text: str) -> Said:
    return Said(round(time * 1e9), float(time), text)
