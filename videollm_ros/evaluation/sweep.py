# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Find the threshold to choose: run recordings at many values of theta, each only from where it makes a difference."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from videollm_ros.assistant import AssistantSettings
from videollm_ros.demo_checkpoint import demo_checkpoint
from videollm_ros.evaluation.annotations import AnnotatedEvent, AnnotatedQuery, read_queries
from videollm_ros.evaluation.arguments import score_settings, watch_settings
from videollm_ros.evaluation.provenance import describe_checkpoint, versions
from videollm_ros.evaluation.record_commands import describe_settings, events_of, open_recordings
from videollm_ros.evaluation.recording import Recording
from videollm_ros.evaluation.replay import Replay
from videollm_ros.evaluation.report.curve import threshold_curve
from videollm_ros.evaluation.report.html import Section, column, number, write_page
from videollm_ros.evaluation.report.page import LABELS, facts
from videollm_ros.evaluation.scores.figures import Counts, figures, intervals, score
from videollm_ros.evaluation.scores.judged import ScoreSettings
from videollm_ros.live import LiveModel, SpeakRule

THRESHOLDS = (0.0, 0.3, 0.5, 0.6, 0.7, 0.725, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99, 0.999)
_SHOWN = ("event_f1", "event_precision", "event_recall", "false_per_quiet_minute", "repeat_rate", "pauc")


def sweep(given: argparse.Namespace) -> None:
    """Do what `sweep` was asked to: print a table, and write sweep.json and report.html.

    Raises:
        ValueError, OSError: the recordings, the annotations, the checkpoint or the settings are of no use.
    """
    watching, scoring = watch_settings(given), score_settings(given)
    thresholds = sorted(set(given.thresholds or THRESHOLDS))
    for threshold in thresholds:
        SpeakRule(threshold)  # says what is no probability before a model is loaded
    recordings = open_recordings(given)
    events = [events_of(given.annotations, recording, len(recordings)) or [] for recording in recordings]
    queries = [] if given.queries is None else read_queries(given.queries)
    checkpoint = given.checkpoint or demo_checkpoint()
    model = LiveModel.from_pretrained(checkpoint, device=given.device, dtype=given.dtype)
    counted, frames, read = _count(model, recordings, events, thresholds, watching, scoring, queries)
    rows = [_row(threshold, counted[threshold]) for threshold in thresholds]
    swept = {
        "thresholds": rows,
        "chosen": choose(rows, given.false_alarms),
        "false_alarms": given.false_alarms,
        "frames": frames,
        "frames_read": read,
        "settings": describe_settings(given, watching, scoring, model),
        "checkpoint": describe_checkpoint(checkpoint, model),
        "versions": versions(),
    }
    given.output.mkdir(parents=True, exist_ok=True)
    text = json.dumps(swept, indent=2, ensure_ascii=False)
    (given.output / "sweep.json").write_text(text + "\n", encoding="utf-8")
    _write_page(swept, given.output / "report.html")
    _print(swept, given.output)


def _count(
    model: LiveModel,
    recordings: Sequence[Recording],
    events: Sequence[Sequence[AnnotatedEvent]],
    thresholds: Sequence[float],
    watching: AssistantSettings,
    scoring: ScoreSettings,
    queries: Sequence[AnnotatedQuery],
) -> tuple[dict[float, list[Counts]], int, int]:
    """Score every recording at every threshold. Also return the frames of all runs, and how many of them were read."""
    counted: dict[float, list[Counts]] = {threshold: [] for threshold in thresholds}
    frames = read = 0
    for recording, happened in zip(tqdm(recordings, unit="recording", disable=None), events, strict=True):
        replay = Replay(model, recording, watching, queries)
        for threshold in thresholds:
            transcript = replay.run(threshold)
            frames += len(transcript.decisions)
            counted[threshold].append(score(transcript.proactive, happened, transcript.watched, scoring))
        read += replay.frames_read
    return counted, frames, read


def choose(rows: Sequence[dict[str, Any]], false_alarms: float) -> float | None:
    """Return the theta of the highest event F1 with at most so many false utterances per quiet minute.

    Among equals the middle one is taken, which lies furthest from where something changes. None when all say too much.
    """
    quiet = [row for row in rows if (_value(row["false_per_quiet_minute"]) or 0.0) <= false_alarms]
    if not quiet:
        return None
    best = max(_value(row["event_f1"]) or 0.0 for row in quiet)
    equals = [row["threshold"] for row in quiet if (_value(row["event_f1"]) or 0.0) >= best - 1e-9]
    return float(equals[len(equals) // 2])


def _value(figure: Any) -> float | None:
    value: float | None = figure["value"] if isinstance(figure, dict) else figure
    return value


def _row(threshold: float, counted: Sequence[Counts]) -> dict[str, Any]:
    values, limits = figures(counted), intervals(counted)
    return {"threshold": threshold} | {
        name: {"value": values[name], "interval": list(limits[name])} if name in limits else values[name]
        for name in values
    }


def _print(swept: dict[str, Any], output: Path) -> None:
    print(f"{'theta':>7} " + " ".join(f"{name:>22}" for name in _SHOWN))
    for row in swept["thresholds"]:
        print(f"{row['threshold']:7g} " + " ".join(f"{number(_value(row[name])):>22}" for name in _SHOWN))
    print(_choice(swept))
    print(f"{swept['frames_read']} of {swept['frames']} frames were read; written to {output}")


def _choice(swept: dict[str, Any]) -> str:
    limit = f"{swept['false_alarms']:g} false utterances per quiet minute"
    if swept["chosen"] is None:
        return f"No threshold keeps to {limit}."
    return f"theta {swept['chosen']:g} has the highest event F1 with at most {limit}."


def _plots(rows: Sequence[dict[str, Any]]) -> list[Section]:
    """Draw event F1 against false alarms, and the figures over theta."""
    points = [(_value(row["false_per_quiet_minute"]), _value(row["event_f1"])) for row in rows]
    curve = threshold_curve([row["threshold"] for row in rows], points)
    over = [
        {"x": [row["threshold"] for row in rows], "y": [_value(row[name]) for row in rows], "mode": "lines+markers"}
        | {"name": LABELS[name], "marker": {"role": role, "size": 7}, "line": {"role": role}}
        for name, role in (("event_f1", "accent"), ("event_precision", "late"), ("event_recall", "matched"))
    ]
    legend = {"showlegend": True, "legend": {"orientation": "h", "y": 1.15}}
    return [
        {
            "type": "plot",
            "title": "Event F1 against false alarms, with theta",
            "x": "false per quiet minute",
            "y": "event F1",
        }
        | {"traces": [curve], "layout": {"height": 380}},
        {
            "type": "plot",
            "title": "Figures over theta",
            "x": "theta",
            "y": "",
            "traces": over,
            "layout": legend | {"height": 380},
        },
    ]


def _write_page(swept: dict[str, Any], path: Path) -> None:
    rows = swept["thresholds"]
    columns = [column("theta", number=True), *(column(LABELS[name], number=True) for name in _SHOWN)]
    table = [[f"{row['threshold']:g}", *(number(row[name]) for name in _SHOWN)] for row in rows]
    sections: list[Section] = [
        {"type": "heading", "title": "Which threshold to choose", "text": _choice(swept)},
        {"type": "pair", "sections": _plots(rows)},
        {"type": "table", "title": "Figures", "columns": columns, "rows": table},
        facts(swept),
    ]
    write_page("Which threshold to choose", sections, path)
