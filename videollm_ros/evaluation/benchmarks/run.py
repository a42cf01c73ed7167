# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run a benchmark: what is missing is listed, what was done is kept, and one process writes the results of all."""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from videollm_ros.evaluation.benchmarks.benchmark import Benchmark, Item, Record
from videollm_ros.evaluation.benchmarks.output import Outcome, write_results
from videollm_ros.evaluation.benchmarks.processes import Processes
from videollm_ros.evaluation.benchmarks.results_folder import ResultsFolder
from videollm_ros.evaluation.transcript import Transcript
from videollm_ros.live import LiveModel

_SAME = ("settings", "checkpoint", "annotations")  # what two runs must share to share results
_SHOWN = 10  # missing items that are named on the console; metrics.json names all


def run_benchmark(
    benchmark: Benchmark,
    model: LiveModel,
    output: Path,
    provenance: dict[str, Any],
    processes: Processes,
    limit: int | None = None,
) -> dict[str, Any] | None:
    """Run every item that can be run and was not run before, then score all and write the results.

    Args:
        benchmark: what is run.
        model: the model.
        output: folder for the results. What an earlier run with the same provenance left there is not run again.
        provenance: settings, checkpoint and versions, for metrics.json.
        processes: the processes that share the work.
        limit: run the first items only. What is missing is listed all the same.

    Returns:
        what stands in metrics.json. None in all processes but the main one.

    Raises:
        ValueError: no item can be run, or the folder holds results of another run.
    """
    items, missing = _find(benchmark, limit)
    there = [item for item in items if item.id not in missing]
    folder = ResultsFolder(output)
    if processes.is_main:
        _tell(missing, "cannot be run")
        folder.begin({"benchmark": benchmark.name} | {key: provenance[key] for key in _SAME if key in provenance})
        if processes.number > 1:
            print(f"{processes.number} processes share {len(there)} items.", file=sys.stderr)
    processes.wait()
    for item in tqdm(processes.share(there), desc=benchmark.name, unit="item", disable=not sys.stderr.isatty()):
        _do(benchmark, model, item, folder)
    processes.wait()
    if not processes.is_main:
        return None
    records, failed = _read(benchmark, there, folder)
    return write_results(benchmark, model, Outcome(items, records, missing, failed), provenance, output)


def _find(benchmark: Benchmark, limit: int | None) -> tuple[list[Item], dict[str, str]]:
    """Return the items up to the limit, and why some of all items cannot be run.

    Raises:
        ValueError: none of them can be run, or two have one id.
    """
    items = _distinct(benchmark.items())
    missing = {item.id: reason for item in items if (reason := benchmark.missing(item))}
    if all(item.id in missing for item in items[:limit]):
        reason = next(iter(missing.values()), "The annotations hold no item of this benchmark.")
        raise ValueError(f"Nothing of {benchmark.name} can be run. The first reason: {reason}")
    return items[:limit], missing


def _distinct(items: list[Item]) -> list[Item]:
    """Return the items. Two of one id would share a result.

    Raises:
        ValueError: two items have one id.
    """
    double = [name for name, number in Counter(item.id for item in items).items() if number > 1]
    if double:
        raise ValueError(f"The annotations hold several items of the id {double[0]!r}.")
    return items


def _do(benchmark: Benchmark, model: LiveModel, item: Item, folder: ResultsFolder) -> None:
    """Run an item, unless it was run on the same footage, and store what it gave.

    What goes wrong with one item does not end the run. It may be its video, its annotation, or that the device has too
    little memory for it.
    """
    try:
        footage = benchmark.fingerprint(item)
        if folder.is_done(item.id, footage):
            return
        record = benchmark.run(model, item)
        record.footage = footage
        folder.write(item.id, record)
        return
    except (MemoryError, OSError, RuntimeError, ValueError) as error:
        reason = str(error) or repr(error)
    with contextlib.suppress(RuntimeError):  # of a device that is broken itself
        torch.cuda.empty_cache()  # here nothing holds the tensors of the failed item any more
    folder.write(item.id, Record(Transcript(item.id), error=reason))


def _read(
    benchmark: Benchmark, items: Sequence[Item], folder: ResultsFolder
) -> tuple[dict[str, Record], dict[str, str]]:
    """Return the records of the items that were run, and why the others failed.

    Raises:
        ValueError: every item failed.
    """
    records: dict[str, Record] = {}
    failed: dict[str, str] = {}
    for item in items:
        record = folder.read(item.id)
        if record is None or record.error:
            failed[item.id] = record.error if record is not None else "It was not run."
        else:
            records[item.id] = record
    _tell(failed, "failed")
    if not records:
        raise ValueError(f"Every item of {benchmark.name} failed. The first reason: {next(iter(failed.values()))}")
    return records, failed


def _tell(reasons: dict[str, str], what: str) -> None:
    for reason in list(reasons.values())[:_SHOWN]:
        print(reason, file=sys.stderr)
    if reasons:
        print(f"{len(reasons)} items {what}. metrics.json lists them.", file=sys.stderr)
