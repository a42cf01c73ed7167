# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Score transcripts and write everything that is known of them into a folder."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from videollm_ros.data.whole_file import whole_file
from videollm_ros.evaluation.annotations import AnnotatedEvent, AnnotatedQuery
from videollm_ros.evaluation.output_folder import naming
from videollm_ros.evaluation.scores.baselines import baselines
from videollm_ros.evaluation.scores.calibration import calibration
from videollm_ros.evaluation.scores.figures import (
    Counts,
    count,
    count_answers,
    count_decisions,
    due_decisions,
    figures,
    intervals,
)
from videollm_ros.evaluation.scores.judged import Judged, ScoreSettings, judge
from videollm_ros.evaluation.transcript import Transcript, write_transcript
from videollm_ros.evaluation.transcript_bag import write_transcript_bag


@dataclass
class Result:
    """Hold one recording's transcript and, where it has annotations, what became of them."""

    transcript: Transcript
    events: list[AnnotatedEvent] | None = None
    """What happened. None when nobody annotated it, which is not the same as nothing."""
    queries: list[AnnotatedQuery] = field(default_factory=list)
    judged: Judged | None = None
    counts: Counts | None = None


def make_result(
    transcript: Transcript,
    events: Sequence[AnnotatedEvent] | None,
    queries: Sequence[AnnotatedQuery],
    settings: ScoreSettings,
) -> Result:
    """Judge one transcript.

    Raises:
        ValueError: the matcher cannot read an event's text.
    """
    queries = transcript.queries or queries  # those of a recording have their time only once it was watched
    result = Result(transcript, None if events is None else list(events), list(queries))
    parts = count_answers(transcript.utterances, queries, settings) if queries else {}
    if events is None:
        result.counts = Counts(parts, [])
        return result
    result.judged = judge(transcript.proactive, events, settings)
    counted = count(result.judged, transcript.watched, settings)
    parts = counted.parts | count_decisions(transcript.decisions, events) | parts
    result.counts = replace(counted, parts=parts)
    return result


def make_metrics(results: Sequence[Result], settings: ScoreSettings, provenance: dict[str, Any]) -> dict[str, Any]:
    """Return what stands in metrics.json: figures first, then counts, baselines, recordings and how it was made.

    A figure is a number, or an object with `value` and `interval` where there are enough recordings. It is null where
    there was nothing to count.
    """
    counted = [result.counts for result in results if result.counts is not None]
    limits = intervals(counted)
    values: dict[str, Any] = {
        name: {"value": value, "interval": list(limits[name])} if name in limits and value is not None else value
        for name, value in figures(counted).items()
        if any(result.events is not None for result in results) or name in ("answered", "answer_accuracy")
    }
    annotated = [result for result in results if result.events is not None]
    if annotated:
        pairs = [(result.events or [], result.transcript.watched) for result in annotated]
        values["counts"] = _add_up([each.totals for each in counted])
        values["baselines"] = baselines(pairs, settings)
        values["calibration"] = _calibration(annotated)
    latencies = [said.latency for each in results for said in each.transcript.utterances if said.latency is not None]
    if latencies:
        values["mean_latency"] = statistics.mean(latencies)
        values["worst_latency"] = max(latencies)
    values["frames"] = sum(len(result.transcript.decisions) for result in results)
    values["seconds"] = sum(result.transcript.seconds for result in results)
    values["images"] = _add_up([result.transcript.counts for result in results])
    values["recordings"] = [_describe(result) for result in results]
    return values | provenance


def describe_scoring(settings: ScoreSettings) -> dict[str, Any]:
    """Return the settings of the scores as they stand in metrics.json."""
    names = ("tolerance", "reply_seconds", "repeat_seconds", "late_seconds", "time_weight", "every_seconds")
    return {name: getattr(settings, name) for name in names} | {"match": settings.matcher.name}


def write_result(result: Result, metrics: dict[str, Any], folder: Path) -> None:
    """Write one recording's transcript, bag and metrics into a folder, which need not exist.

    Raises:
        ValueError: a figure is not finite, which JSON cannot hold.
        OSError: the folder cannot be written to. It names the file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with naming("utterances.jsonl, decisions.csv"):
        write_transcript(result.transcript, folder)
    with naming("transcript.mcap"):
        write_transcript_bag(result.transcript, result.events or [], folder / "transcript.mcap")
    with naming("metrics.json"):
        write_metrics(metrics, folder)


def write_metrics(metrics: dict[str, Any], folder: Path) -> None:
    """Write metrics.json into a folder.

    Raises:
        ValueError: a figure is not finite, which JSON cannot hold.
        OSError: the folder cannot be written to.
    """
    with whole_file(folder / "metrics.json") as file:
        file.write(json.dumps(metrics, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _add_up(counters: Sequence[Counter[str]]) -> dict[str, int]:
    """Sum counters and keep what is 0."""
    return {name: sum(each[name] for each in counters) for name in dict.fromkeys(n for each in counters for n in each)}


def _describe(result: Result) -> dict[str, Any]:
    transcript = result.transcript
    described: dict[str, Any] = {
        "name": transcript.name,
        "seconds": transcript.seconds,
        "begin": transcript.begin,
        "end": transcript.end,
        "frames": len(transcript.decisions),
        "timings": {name: round(spent, 4) for name, spent in transcript.timings.items()},
        "notes": transcript.notes,
    }
    if transcript.latency:
        described["latency"] = {
            stage: {"mean": mean, "worst": worst} for stage, (mean, worst) in transcript.latency.items()
        }
    if result.counts is not None and result.judged is not None:
        described["figures"] = figures([result.counts])
        described["parts"] = {name: list(parts) for name, parts in result.counts.parts.items()}
        described |= result.judged.describe()
    return described


def _calibration(results: Sequence[Result]) -> list[dict[str, float]]:
    """Return the reliability table over all recordings."""
    probabilities, happened = [], []
    for result in results:
        decisions = result.transcript.decisions
        probabilities += [each.speak_probability for each in decisions]
        happened += due_decisions(decisions, result.events or [])
    table = calibration(probabilities, happened)
    return table.bins if table is not None else []
