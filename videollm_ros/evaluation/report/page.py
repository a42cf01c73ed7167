# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Draw the report of one recording, and the summary of several."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from videollm_ros.evaluation.report.certainty import BRACKETS, HINT, figure, tile
from videollm_ros.evaluation.report.html import Section, column, flat, number, write_page
from videollm_ros.evaluation.report.timeline import timeline
from videollm_ros.evaluation.results import Result

LABELS = {
    "event_f1": "event F1",
    "event_precision": "event precision",
    "event_recall": "event recall",
    "mean_time_difference": "mean difference (s)",
    "median_time_difference": "median difference (s)",
    "false_per_quiet_minute": "false per quiet minute",
    "repeat_rate": "share of repeats",
    "pauc": "PAUC",
    "alerting_accuracy": "alerting: first alert inside",
    "alerting_share_inside": "alerting: share inside",
    "alerting_iou": "alerting: IoU",
    "calibration_brier": "calibration: Brier score",
    "calibration_error": "calibration: expected error",
    "mean_latency": "mean latency (s)",
    "worst_latency": "worst latency (s)",
    "answered": "queries answered",
    "answer_accuracy": "answers right",
}
_TILES = ("event_f1", "event_precision", "event_recall", "mean_time_difference", "false_per_quiet_minute", "pauc")
_FIELDS = ("settings", "checkpoint", "versions")


def write_report(result: Result, metrics: dict[str, Any], path: Path) -> None:
    """Write report.html of one recording."""
    transcript = result.transcript
    text = (
        f"{transcript.seconds:.1f} s, {len(transcript.decisions)} frames, {len(transcript.utterances)} utterances. "
        f"{metrics['checkpoint']['name']}, theta {metrics['settings']['threshold']:g}."
    )
    sections: list[Section] = [
        {"type": "heading", "title": transcript.name, "text": text, "notes": transcript.notes},
        *_tiles(metrics),
        timeline(result),
        *_plots([result], metrics),
        *figure_table(metrics),
        *_timings([result]),
        *_latency(result),
        facts(metrics),
    ]
    write_page(f"{transcript.name}: when it spoke", sections, path)


def write_summary(results: Sequence[Result], metrics: dict[str, Any], path: Path) -> None:
    """Write report.html of several recordings, with a link to the report of each."""
    failed = metrics.get("failed", {})
    many = f"{len(results)} of {len(results) + len(failed)}" if failed else str(len(results))
    text = f"{many} recordings, {metrics['seconds'] / 60:.1f} minutes. {metrics['checkpoint']['name']}."
    names = [name for name in _TILES if name in metrics]
    rows = []
    for result, described in zip(results, metrics["recordings"], strict=True):
        link = {"href": f"{quote(result.transcript.name)}/report.html", "text": result.transcript.name}
        values = described.get("figures", {})
        rows.append([link, f"{described['seconds']:.1f}", *(number(values.get(name)) for name in names)])
    columns = [column("recording"), column("seconds", number=True)]
    columns += [column(LABELS[name], number=True) for name in names]
    sections: list[Section] = [
        {"type": "heading", "title": "All recordings", "text": text},
        *_tiles(metrics),
        *_notes(results, failed),
        {"type": "table", "title": "Recordings", "columns": columns, "rows": rows},
        *_plots(results, metrics),
        *figure_table(metrics),
        *_timings(results),
        facts(metrics),
    ]
    write_page("When it spoke", sections, path)


def figure_table(metrics: dict[str, Any]) -> list[Section]:
    """Show all figures beside those of the trivial baselines."""
    names = [name for name in LABELS if name in metrics]
    baselines = metrics.get("baselines", {})
    if not names:
        return []
    columns = [column("figure"), column("model", number=True), *(column(name, number=True) for name in baselines)]
    rows = [[LABELS[n], figure(n, metrics), *(number(b.get(n)) for b in baselines.values())] for n in names]
    hint = f"{BRACKETS} recordings. {HINT} PAUC does not punish talking all the time."
    return [{"type": "table", "title": "Figures", "hint": hint, "columns": columns, "rows": rows}]


def facts(metrics: dict[str, Any]) -> Section:
    """Show settings, checkpoint and versions."""
    listed = flat({name: metrics[name] for name in _FIELDS if name in metrics})
    return {"type": "facts", "title": "Settings, checkpoint and versions", "facts": listed}


def label(name: str) -> str:
    """Return the name of a figure for people."""
    return LABELS.get(name, name.replace("_", " "))


def _tiles(metrics: dict[str, Any]) -> list[Section]:
    tiles = [tile(name, LABELS[name], metrics) for name in _TILES if name in metrics]
    return [{"type": "tiles", "tiles": tiles}] if tiles else []


def _notes(results: Sequence[Result], failed: dict[str, str]) -> list[Section]:
    """List the recordings that failed, and what is unusual in the others."""
    rows = [[name, f"It failed. {reason}"] for name, reason in failed.items()]
    rows += [[result.transcript.name, note] for result in results for note in result.transcript.notes]
    columns = [column("recording"), column("note", text=True)]
    return [{"type": "table", "title": "What is unusual", "columns": columns, "rows": rows}] if rows else []


def _plots(results: Sequence[Result], metrics: dict[str, Any]) -> list[Section]:
    """Show the histogram of time differences, and the calibration."""
    counted = [result.counts for result in results if result.counts is not None]
    differences = [round(difference, 3) for each in counted for difference in each.time_differences]
    shown: list[Section] = []
    if differences:
        tolerance = metrics["settings"]["tolerance"]
        counts, edges = np.histogram(differences, np.linspace(-1.05, 1.05, 22) * (tolerance or 1.0))
        centers = (edges[:-1] + edges[1:]) / 2
        bars = {
            "type": "bar",
            "x": [round(center, 6) for center in centers.tolist()],
            "y": counts.tolist(),
            "marker": {"role": "matched"},
        }
        shown.append(
            _plot(
                "Time differences of matched utterances", "seconds after the event", "utterances", [bars], bargap=0.06
            )
        )
    table = metrics.get("calibration")
    if table:
        diagonal = {
            "x": [0, 1],
            "y": [0, 1],
            "mode": "lines",
            "hoverinfo": "skip",
            "line": {"role": "soft", "dash": "dot"},
        }
        points = {
            "x": [each["probability"] for each in table],
            "y": [each["share"] for each in table],
            "text": [f"{each['frames']} frames" for each in table],
            "mode": "lines+markers",
            "marker": {"role": "accent", "size": 9},
            "line": {"role": "accent"},
        }
        title = "Calibration: how often a frame with this speak probability shows an event"
        shown.append(_plot(title, "mean speak probability", "share of frames with an event", [diagonal, points]))
    return [{"type": "pair", "sections": shown}] if shown else []


def _plot(title: str, x: str, y: str, traces: list[dict[str, Any]], **layout: Any) -> Section:
    return {"type": "plot", "title": title, "x": x, "y": y, "traces": traces, "layout": layout}


def _latency(result: Result) -> list[Section]:
    """Show where the time went between an image and what was said, in a replay in real time."""
    rows = [[stage, f"{mean:.3f}", f"{worst:.3f}"] for stage, (mean, worst) in result.transcript.latency.items()]
    columns = [column("stage"), column("mean seconds", number=True), column("longest", number=True)]
    shown = [{"type": "table", "title": "Latency in real time", "columns": columns, "rows": rows}] if rows else []
    counts = [[name, str(number_)] for name, number_ in result.transcript.counts.items()]
    return [*shown, {"type": "facts", "title": "Images and frames", "facts": counts}]


def _timings(results: Sequence[Result]) -> list[Section]:
    """Show how long each stage took. Encoder and decoder work at the same time."""
    stages = list(dict.fromkeys(stage for result in results for stage in result.transcript.timings))
    if not stages:
        return []
    spent = {stage: sum(result.transcript.timings.get(stage, 0.0) for result in results) for stage in stages}
    total = sum(spent.values()) or 1.0
    rows = [[stage, f"{value:.2f}", f"{100 * value / total:.0f} %"] for stage, value in spent.items()]
    columns = [column("stage"), column("seconds", number=True), column("share", number=True)]
    return [{"type": "table", "title": "Where the time went", "columns": columns, "rows": rows}]
