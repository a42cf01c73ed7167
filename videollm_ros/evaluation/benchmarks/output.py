# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write the results of a benchmark: utterances.jsonl, decisions.csv, metrics.json, report.html and what it adds."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from videollm_ros.data.whole_file import whole_file
from videollm_ros.evaluation.benchmarks.benchmark import Benchmark, Item, Record, Scored
from videollm_ros.evaluation.benchmarks.figures import ratios, with_intervals
from videollm_ros.evaluation.report.certainty import BRACKETS, HINT, figure, tile
from videollm_ros.evaluation.report.html import Section, column, number, write_page
from videollm_ros.evaluation.report.page import facts, label
from videollm_ros.evaluation.results import write_metrics
from videollm_ros.evaluation.transcript import DECISION_COLUMNS, decision_row, utterance_line
from videollm_ros.live import LiveModel

_MOST_ROWS = 2000  # of items in the report
_MOST_TILES = 6
_NO_FIGURES = ("seconds", "seconds_before_question")
_UNSCORED = "unscored items as silence"


@dataclass(frozen=True)
class Outcome:
    """Hold what became of the items of a benchmark."""

    items: list[Item]
    """All that were to be run."""
    records: dict[str, Record]
    """Of the items that were run, by id."""
    missing: dict[str, str]
    """Why items cannot be run, by id."""
    failed: dict[str, str]
    """Why items that could be run gave nothing, by id."""

    @property
    def scored(self) -> list[Item]:
        """Return the items that were run."""
        return [item for item in self.items if item.id in self.records]


def write_results(
    benchmark: Benchmark, model: LiveModel, outcome: Outcome, provenance: dict[str, Any], output: Path
) -> dict[str, Any]:
    """Score, write the results into a folder, and return what stands in metrics.json."""
    items = outcome.scored
    records = [outcome.records[item.id] for item in items]
    scored = benchmark.score(model, items, records)
    figures = with_intervals(scored.parts, [item.video for item in items], scored.averages)
    metrics: dict[str, Any] = (
        figures
        | scored.more
        | {
            "benchmark": benchmark.name,
            "scored": len(items),
            "of": len(outcome.items),
            "unscored_as_silence": _unscored_as_silence(benchmark, model, outcome),
            "notes": scored.notes,
            "baselines": scored.baselines,
            "items": _describe(items, scored),
            "averages": scored.averages,
            "missing": outcome.missing | outcome.failed,
            "videos": len({item.video for item in items}),
            "frames": sum(record.frames for record in records),
            "seconds": sum(record.transcript.seconds for record in records),
            "failed": list(outcome.failed),
            **provenance,
        }
    )
    _write_transcripts(items, records, output)
    for file, content in scored.files.items():
        with whole_file(output / file) as opened:
            json.dump(content, opened, indent=1, ensure_ascii=False, allow_nan=False)
    write_metrics(metrics, output)
    _write_report(list(figures), metrics, _said(items, records), output / "report.html")
    return metrics


def _describe(items: Sequence[Item], scored: Scored) -> list[dict[str, Any]]:
    """Return what was counted on each item, which `compare` pairs with that of another run."""
    described = []
    for number_, (item, parts) in enumerate(zip(items, scored.parts, strict=True)):
        counted = {name: list(each) for name, each in parts.items()}
        each = {"id": item.id, "video": item.video, "figures": ratios([parts]), "parts": counted}
        described.append(each | (scored.judged[number_].describe() if scored.judged else {}))
    return described


def _unscored_as_silence(benchmark: Benchmark, model: LiveModel, outcome: Outcome) -> dict[str, float | None] | None:
    """Return the figures with silence in the place of every item that gave nothing. None where all items are scored.

    An assistant does not get better by failing on hard items.
    """
    known = {item.id: outcome.records.get(item.id) or benchmark.silent(item) for item in outcome.items}
    items = [item for item in outcome.items if known[item.id] is not None]
    records = [record for item in items if (record := known[item.id]) is not None]
    if len(items) == len(outcome.records):
        return None
    scored = benchmark.score(model, items, records)
    return ratios(scored.parts, scored.averages)


def _write_transcripts(items: Sequence[Item], records: Sequence[Record], output: Path) -> None:
    """Write what was said and decided on all items, in the order of the annotations."""
    with whole_file(output / "utterances.jsonl") as file:
        for item, record in zip(items, records, strict=True):
            for said in record.transcript.utterances:
                file.write(json.dumps({"item": item.id} | utterance_line(said), ensure_ascii=False) + "\n")
    with whole_file(output / "decisions.csv") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("item", *DECISION_COLUMNS))
        for item, record in zip(items, records, strict=True):
            writer.writerows((item.id, *decision_row(each)) for each in record.transcript.decisions)


def _write_report(figures: Sequence[str], metrics: dict[str, Any], said: list[Section], path: Path) -> None:
    text = (
        f"{metrics['scored']} of {metrics['of']} items scored, {metrics['videos']} videos, "
        f"{metrics['seconds'] / 60:.1f} minutes. {metrics['checkpoint']['name']}."
    )
    heading = {"type": "heading", "title": metrics["benchmark"], "text": text, "notes": metrics["notes"]}
    tiles = [tile(name, label(name), metrics) for name in figures[:_MOST_TILES]]
    sections: list[Section] = [heading, {"type": "tiles", "tiles": tiles}, _figures(figures, metrics)]
    sections += [_items(metrics), *said, *_missing(metrics["missing"]), facts(metrics)]
    write_page(metrics["benchmark"], sections, path)


def _figures(figures: Sequence[str], metrics: dict[str, Any]) -> Section:
    unscored = metrics["unscored_as_silence"]
    baselines = ({_UNSCORED: unscored} if unscored else {}) | metrics["baselines"]
    columns = [column("figure"), column("model", number=True), *(column(name, number=True) for name in baselines)]
    rows = [
        [label(name), figure(name, metrics), *(number(values.get(name)) for values in baselines.values())]
        for name in figures
    ]
    hint = f"{BRACKETS} videos. {HINT}"
    return {"type": "table", "title": "Figures", "hint": hint, "columns": columns, "rows": rows}


def _items(metrics: dict[str, Any]) -> Section:
    shown = metrics["items"][:_MOST_ROWS]
    names = list(dict.fromkeys(name for each in shown for name in each["figures"]))[:_MOST_TILES]
    columns = [column("item"), *(column(label(name), number=True) for name in names)]
    rows = [[each["id"], *(number(each["figures"].get(name)) for name in names)] for each in shown]
    left_out = len(metrics["items"]) - len(shown)
    hint = f"{left_out} more stand in metrics.json." if left_out else ""
    return {"type": "table", "title": "Items", "hint": hint, "columns": columns, "rows": rows}


def _said(items: Sequence[Item], records: Sequence[Record]) -> list[Section]:
    """List what was said, to read along."""
    rows = [
        [item.id, f"{said.time:.2f}", said.text, said.query or ""]
        for item, record in zip(items, records, strict=True)
        for said in record.transcript.utterances
    ]
    if not rows:
        return []
    columns = [column("item"), column("second", number=True), column("said", text=True), column("asked", text=True)]
    left_out = len(rows) - _MOST_ROWS
    hint = f"{left_out} more stand in utterances.jsonl." if left_out > 0 else ""
    return [{"type": "table", "title": "What was said", "hint": hint, "columns": columns, "rows": rows[:_MOST_ROWS]}]


def _missing(missing: dict[str, str]) -> list[Section]:
    if not missing:
        return []
    columns = [column("item"), column("why", text=True)]
    rows = [list(each) for each in list(missing.items())[:_MOST_ROWS]]
    return [{"type": "table", "title": "Not run", "columns": columns, "rows": rows}]


def print_figures(metrics: dict[str, Any], output: Path) -> None:
    """Print the figures and where everything lies."""
    print(f"{metrics['benchmark']}: {metrics['scored']} of {metrics['of']} items scored, {metrics['frames']} frames")
    unscored = metrics["unscored_as_silence"] or {}
    for name, value in metrics.items():
        beside = unscored.get(name)
        suffix = "" if beside is None else f"  ({_UNSCORED}: {beside:.4f})"
        if isinstance(value, dict) and "interval" in value:
            low, high = value["interval"]
            print(f"{name:32} {value['value']:.4f} [{low:.4f}, {high:.4f}]{suffix}")
        elif isinstance(value, float) and name not in _NO_FIGURES:
            print(f"{name:32} {value:.4f}{suffix}")
    for note in metrics["notes"]:
        print(note)
    print(f"written to {output}; look at {output / 'report.html'}")
