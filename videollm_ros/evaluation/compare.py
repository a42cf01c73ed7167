# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compare two results of the same recordings: how much the figures differ, how surely, and where."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from videollm_ros.evaluation.benchmarks.paired import (
    by_video,
    check_same_benchmark,
    compare_averages,
    items_as_recordings,
)
from videollm_ros.evaluation.output_folder import COMPARISON, check_output, naming, whole_result
from videollm_ros.evaluation.report.html import Section, column, flat, number, write_page
from videollm_ros.evaluation.report.page import label
from videollm_ros.evaluation.scores.intervals import difference_interval, ratio
from videollm_ros.evaluation.scores.judged import MATCHED

_SCORING = ("tolerance", "reply_seconds", "repeat_seconds", "late_seconds", "time_weight", "match")

_IDENTITY = ("begin", "end", "events")


def compare(given: argparse.Namespace) -> None:
    """Do what `compare` was asked to: print a table, and write compare.json and report.html.

    Raises:
        ValueError: a folder holds no results, they have no recording in common, or they were scored differently.
    """
    first, second = _read(given.first), _read(given.second)
    if given.output is not None:
        check_output(given.output, COMPARISON)
    compared = compare_metrics(first, second)
    print(f"{'':28} {'A':>8} {'B':>8} {'B - A':>8}")
    for name, row in compared["figures"].items():
        limits = "" if row["interval"] is None else " [{:+.4f}, {:+.4f}]".format(*row["interval"])
        difference = "" if row["difference"] is None else f"{row['difference']:+8.4f}"
        print(f"{name:28} {number(row['a'], 4):>8} {number(row['b'], 4):>8} {difference:>8}{limits}")
    print(f"{len(compared['recordings'])} recordings, {len(compared['disagreements'])} disagreements")
    if given.output is not None:
        text = json.dumps(compared, indent=2, ensure_ascii=False)
        with whole_result(given.output) as new:
            with naming("compare.json"):
                (new / "compare.json").write_text(text + "\n", encoding="utf-8")
            with naming("report.html"):
                _write_page(compared, first, second, new / "report.html")
        print(f"written to {given.output}")


def compare_metrics(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Compare two metrics.json, paired by recording.

    Raises:
        ValueError: they have no annotated recording in common, its annotations differ, or they were scored differently.
    """
    check_same_benchmark(first, second)
    different = [name for name in _SCORING if first["settings"].get(name) != second["settings"].get(name)]
    if different:
        raise ValueError(f"The two results were scored differently ({', '.join(different)}): score them alike.")
    ours = {each["name"]: each for each in first["recordings"] if "parts" in each}
    theirs = {each["name"]: each for each in second["recordings"] if "parts" in each}
    _pair_renamed(ours, theirs)
    common = sorted(ours.keys() & theirs.keys())
    if not common:
        raise ValueError(f"No annotated recording is in both: A has {_list(ours)}, B has {_list(theirs)}.")
    for name in common:
        if ours[name]["events"] != theirs[name]["events"]:
            raise ValueError(f"The annotations of {name} differ between A and B.")
        if ours[name].get("begin") != theirs[name].get("begin"):
            raise ValueError(f"{name} is not the same recording in A and B: its first image has another stamp.")
    figures: dict[str, Any] = {}
    for figure in ours[common[0]]["parts"]:
        if not all(figure in each[name]["parts"] for each in (ours, theirs) for name in common):
            continue
        a, b = (by_video(each, common, figure) for each in (ours, theirs))
        value, other = ratio(a), ratio(b)
        difference = None if value is None or other is None else other - value
        figures[figure] = {"a": value, "b": other, "difference": difference, "interval": difference_interval(a, b)}
    figures |= compare_averages(first.get("averages", {}), (ours, theirs), common)
    return {
        "figures": figures,
        "recordings": common,
        "left_out": sorted(ours.keys() ^ theirs.keys()),
        "disagreements": [row for name in common for row in _disagreements(name, ours[name], theirs[name])],
    }


def _pair_renamed(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Give recordings of B the names of A's where first stamp, last stamp and annotations are the same.

    Such are bags that were converted to another storage. A video's clock begins at 0, which tells nothing.
    """
    for name in sorted(theirs.keys() - ours.keys()):
        same = [
            other
            for other in ours.keys() - theirs.keys()
            if theirs[name].get("begin") and all(ours[other].get(k) == theirs[name].get(k) for k in _IDENTITY)
        ]
        if len(same) == 1:
            theirs[same[0]] = theirs.pop(name)


def _read(folder: Path) -> dict[str, Any]:
    try:
        metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise ValueError(f"{folder} holds no results of bag, video or a benchmark: {error}") from error
    metrics = items_as_recordings(metrics) if isinstance(metrics, dict) else metrics
    if not isinstance(metrics, dict) or not {"recordings", "settings", "checkpoint"} <= metrics.keys():
        raise ValueError(f"{folder / 'metrics.json'} holds no results of bag, video or a benchmark.")
    return metrics


def _list(names: Any) -> str:
    return ", ".join(sorted(names)) or "none"


def _disagreements(name: str, first: dict[str, Any], second: dict[str, Any]) -> list[dict[str, Any]]:
    """List the events that one of the two tells, and what only one of the two says besides."""
    rows = []
    told = [{each["event"] for each in run["judgments"] if each["outcome"] == MATCHED} for run in (first, second)]
    for number_, event in enumerate(first["events"]):
        if (number_ in told[0]) != (number_ in told[1]):
            a, b = ("told" if number_ in each else "missed" for each in told)
            rows.append({"recording": name, "time": event["time"], "text": event["text"], "a": a, "b": b})
    besides = [
        {(each["time"], each["text"]): each["outcome"] for each in run["judgments"] if each["outcome"] != MATCHED}
        for run in (first, second)
    ]
    for time, text in sorted(besides[0].keys() ^ besides[1].keys()):
        a, b = (each.get((time, text), "silent") for each in besides)
        rows.append({"recording": name, "time": time, "text": text, "a": a, "b": b})
    return sorted(rows, key=lambda row: float(row["time"]))


def _write_page(compared: dict[str, Any], first: dict[str, Any], second: dict[str, Any], path: Path) -> None:
    columns = [column("figure"), *(column(each, number=True) for each in ("A", "B", "B - A", "95 % interval"))]
    rows = []
    for name, row in compared["figures"].items():
        limits = row["interval"] and "{:+.3f} to {:+.3f}".format(*row["interval"])
        difference = None if row["difference"] is None else f"{row['difference']:+.3f}"
        rows.append([label(name), number(row["a"]), number(row["b"]), difference, limits])
    disagreements = [
        [row["recording"], f"{row['time']:.2f}", row["text"], row["a"].replace("_", " "), row["b"].replace("_", " ")]
        for row in compared["disagreements"]
    ]
    where = [column("recording"), column("seconds", number=True), column("text", text=True), column("A"), column("B")]
    notes = [f"Only one of the two has {_list(compared['left_out'])}."] if compared["left_out"] else []
    sections: list[Section] = [
        {
            "type": "heading",
            "title": "Two results of the same recordings",
            "text": f"A: {_describe(first)}. B: {_describe(second)}. {len(compared['recordings'])} recordings.",
            "notes": notes,
        },
        {
            "type": "table",
            "title": "Figures",
            "hint": "An interval by bootstrap over recordings, paired. One that holds 0 shows no difference. "
            "Under five recordings there is none. One of no width says that no recording differs, not that none can.",
            "columns": columns,
            "rows": rows,
        },
        {"type": "table", "title": "Where they disagree", "columns": where, "rows": disagreements},
    ]
    for title, metrics in (("Settings of A", first), ("Settings of B", second)):
        facts = flat({"settings": metrics["settings"], "checkpoint": metrics["checkpoint"]})
        sections.append({"type": "facts", "title": title, "facts": facts})
    write_page("Two results of the same recordings", sections, path)


def _describe(metrics: dict[str, Any]) -> str:
    settings = metrics["settings"]
    theta = f", theta {settings['threshold']:g}" if "threshold" in settings else ""
    window = f", the last {settings['window']} frames alone" if settings.get("window") else ""
    return f"{metrics['checkpoint']['name']}{theta}{window}"
