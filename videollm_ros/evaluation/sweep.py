# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Find the threshold to choose: run recordings at many values of theta, each only from where it makes a difference."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from videollm_ros.assistant import AssistantSettings
from videollm_ros.demo_checkpoint import demo_checkpoint
from videollm_ros.evaluation.annotations import AnnotatedEvent
from videollm_ros.evaluation.arguments import watch_settings
from videollm_ros.evaluation.fitting import events_outside
from videollm_ros.evaluation.opened import Annotated, Opened, open_annotated, open_recordings
from videollm_ros.evaluation.output_folder import SWEEP, check_output, naming, whole_result
from videollm_ros.evaluation.provenance import describe_checkpoint, versions
from videollm_ros.evaluation.record_commands import describe_settings
from videollm_ros.evaluation.replay import Replay
from videollm_ros.evaluation.report.curve import threshold_curve
from videollm_ros.evaluation.report.html import Section, column, number, write_page
from videollm_ros.evaluation.report.page import LABELS, facts
from videollm_ros.evaluation.scores.figures import Counts, figures, intervals, score
from videollm_ros.evaluation.scores.judged import ScoreSettings
from videollm_ros.live import LiveModel

THRESHOLDS = (0.0, 0.3, 0.5, 0.6, 0.7, 0.725, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99, 0.999)
_SHOWN = ("event_f1", "event_precision", "event_recall", "false_per_quiet_minute", "repeat_rate", "pauc")


def sweep(given: argparse.Namespace) -> int:
    """Do what `sweep` was asked to: print a table, and write sweep.json and report.html.

    Returns:
        the exit code: 0, or 1 where a recording failed or broke off.

    Raises:
        ValueError, OSError: the recordings, the annotations, the checkpoint or the settings are of no use.
    """
    watching = watch_settings(given)
    thresholds = sorted(set(given.thresholds or THRESHOLDS))
    check_output(given.output, SWEEP)
    recordings = open_recordings(given)
    annotated = open_annotated(given, recordings)
    checkpoint = given.checkpoint or demo_checkpoint()
    model = LiveModel.from_pretrained(checkpoint, device=given.device, dtype=given.dtype)
    counts = _count(model, annotated, watching, thresholds)
    rows = [_row(threshold, counts.of[threshold]) for threshold in thresholds]
    swept = {
        "thresholds": rows,
        "chosen": choose(rows, given.false_alarms),
        "false_alarms": given.false_alarms,
        "recordings": [{"name": name, "notes": notes} for name, notes in counts.notes.items()],
        "of": recordings.count,
        "failed": recordings.failed,
        "frames": counts.frames,
        "frames_read": counts.frames_read,
        "settings": describe_settings(given, watching, annotated.scoring, model, recordings.opened),
        "checkpoint": describe_checkpoint(checkpoint, model),
        "versions": versions(),
    }
    with whole_result(given.output) as new:
        with naming("sweep.json"):
            (new / "sweep.json").write_text(json.dumps(swept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        with naming("report.html"):
            _write_page(swept, new / "report.html")
    _print(swept, given.output)
    return 1 if recordings.failed or any(each.breaks_off for each in recordings.opened) else 0


@dataclass
class _Counts:
    """Hold what was counted on every recording at every threshold."""

    of: dict[float, list[Counts]]
    notes: dict[str, list[str]] = field(default_factory=dict)
    """Name of a recording -> what is unusual in it."""
    frames: int = 0
    frames_read: int = 0

    def add(self, replay: Replay, recording: Opened, events: list[AnnotatedEvent], scoring: ScoreSettings) -> None:
        """Score a recording at every threshold."""
        thresholds = list(self.of)
        counted, notes = [], list(recording.faults)
        for transcript in replay.run(thresholds):
            self.frames += len(transcript.decisions)
            counted.append(score(transcript.proactive, events, transcript.watched, scoring))
            notes += [*transcript.notes, *events_outside(transcript, events)]
        for threshold, counts in zip(thresholds, counted, strict=True):
            self.of[threshold].append(counts)
        self.notes[recording.name] = list(dict.fromkeys(notes))
        self.frames_read += replay.frames_read


def _count(model: LiveModel, annotated: Annotated, watching: AssistantSettings, thresholds: Sequence[float]) -> _Counts:
    """Score every recording at every threshold. Of several, those that fail are listed among the failed.

    Raises:
        ValueError: the only recording, or every recording, failed.
    """
    counts, recordings = _Counts({threshold: [] for threshold in thresholds}), annotated.recordings
    bar = tqdm(recordings.opened, unit="recording", disable=None)
    for recording, happened, asked in zip(bar, annotated.events, annotated.queries, strict=True):
        try:
            counts.add(Replay(model, recording, watching, asked), recording, happened or [], annotated.scoring)
        except ValueError as error:
            if recordings.count == 1:
                raise
            recordings.failed[recording.name] = str(error)
    if not counts.notes:
        raise ValueError("No recording could be evaluated. " + " ".join(recordings.failed.values()))
    return counts


def choose(rows: Sequence[dict[str, Any]], false_alarms: float) -> float | None:
    """Return the theta of the highest event F1 with at most so many false utterances per quiet minute.

    Among equals the middle one is taken, which lies furthest from where something changes. None when all say too much,
    when none tells an event, or where there is no quiet time, in which false alarms could be counted.
    """
    known = [(row["threshold"], _value(row["event_f1"]), _value(row["false_per_quiet_minute"])) for row in rows]
    quiet = [(theta, f1) for theta, f1, false in known if f1 and false is not None and false <= false_alarms]
    if not quiet:
        return None
    best = max(f1 for _, f1 in quiet)
    equals = [theta for theta, f1 in quiet if f1 >= best - 1e-9]
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
    for note in _notes(swept):
        print(note, file=sys.stderr)
    print(f"{'theta':>7} " + " ".join(f"{name:>22}" for name in _SHOWN))
    for row in swept["thresholds"]:
        print(f"{row['threshold']:7g} " + " ".join(f"{number(_value(row[name])):>22}" for name in _SHOWN))
    print(_choice(swept))
    print(f"{swept['frames_read']} of {swept['frames']} frames were read; written to {output}")


def _choice(swept: dict[str, Any]) -> str:
    limit = f"{swept['false_alarms']:g} false utterances per quiet minute"
    if swept["chosen"] is None:
        rows = swept["thresholds"]
        if not any(_value(row["event_f1"]) for row in rows):
            return "No threshold can be chosen: at none is an event told."
        if all(_value(row["false_per_quiet_minute"]) is None for row in rows):
            return "No threshold can be chosen: there is no quiet time in which false utterances could be counted."
        return f"No threshold that tells an event keeps to {limit}."
    return f"theta {swept['chosen']:g} has the highest event F1 with at most {limit}."


def _notes(swept: dict[str, Any]) -> list[str]:
    """Return what is unusual in the recordings, and which of them failed."""
    notes = [f"{each['name']}: {note}" for each in swept["recordings"] for note in each["notes"]]
    if swept["failed"]:
        notes.append(f"{len(swept['recordings'])} of {swept['of']} recordings were evaluated.")
    return notes + [f"{name}: failed. {reason}" for name, reason in swept["failed"].items()]


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
        {"type": "heading", "title": "Which threshold to choose", "text": _choice(swept), "notes": _notes(swept)},
        {"type": "pair", "sections": _plots(rows)},
        {"type": "table", "title": "Figures", "columns": columns, "rows": table},
        facts(swept),
    ]
    write_page("Which threshold to choose", sections, path)
