# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run a benchmark: what is missing is listed, what was done is kept, and one process writes the results of all."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from videollm_ros.evaluation.benchmarks.benchmark import Benchmark, Item, Record
from videollm_ros.evaluation.benchmarks.output import write_results
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
        limit: run the first items only.

    Returns:
        what stands in metrics.json. None in all processes but the main one.

    Raises:
        ValueError: no item can be run, or the folder holds results of another run.
    """
    there, missing = _find(benchmark, limit)
    folder = ResultsFolder(output)
    if processes.is_main:
        _tell(missing, "cannot be run")
        folder.begin({"benchmark": benchmark.name} | {key: provenance[key] for key in _SAME if key in provenance})
    processes.wait()
    share = [item for item in processes.share(there) if not folder.is_done(item.id)]
    for item in tqdm(share, desc=benchmark.name, unit="item", disable=not sys.stderr.isatty()):
        folder.write(item.id, _run(benchmark, model, item))
    processes.wait()
    if not processes.is_main:
        return None
    return _finish(benchmark, model, output, provenance, there, folder, missing)


def _find(benchmark: Benchmark, limit: int | None) -> tuple[list[Item], dict[str, str]]:
    """Return the items that can be run, and why the others cannot."""
    items = _distinct(benchmark.items())[:limit]
    missing = {item.id: reason for item in items if (reason := benchmark.missing(item))}
    there = [item for item in items if item.id not in missing]
    if not there:
        raise ValueError(
            f"Nothing of {benchmark.name} can be run. The first reason: {next(iter(missing.values()), '')}"
        )
    return there, missing


def _distinct(items: list[Item]) -> list[Item]:
    """Return the items. Two of one id would share a result.

    Raises:
        ValueError: two items have one id.
    """
    double = [name for name, number in Counter(item.id for item in items).items() if number > 1]
    if double:
        raise ValueError(f"The annotations hold several items of the id {double[0]!r}.")
    return items


def _run(benchmark: Benchmark, model: LiveModel, item: Item) -> Record:
    try:
        return benchmark.run(model, item)
    except (OSError, ValueError) as error:  # its video or its annotation; the other items do not suffer
        return Record(Transcript(item.id), error=str(error) or repr(error))


def _finish(
    benchmark: Benchmark,
    model: LiveModel,
    output: Path,
    provenance: dict[str, Any],
    there: Sequence[Item],
    folder: ResultsFolder,
    missing: dict[str, str],
) -> dict[str, Any]:
    done: list[tuple[Item, Record]] = []
    failed: dict[str, str] = {}
    for item in there:
        record = folder.read(item.id)
        if record is None or record.error:
            failed[item.id] = record.error if record is not None else "It was not run."
        else:
            done.append((item, record))
    _tell(failed, "failed")
    if not done:
        raise ValueError(f"Every item of {benchmark.name} failed. The first reason: {next(iter(failed.values()))}")
    items, records = [item for item, _ in done], [record for _, record in done]
    scored = benchmark.score(model, items, records)
    return write_results(benchmark.name, items, records, scored, provenance, missing | failed, output)


def _tell(reasons: dict[str, str], what: str) -> None:
    for reason in list(reasons.values())[:_SHOWN]:
        print(reason, file=sys.stderr)
    if reasons:
        print(f"{len(reasons)} items {what}. metrics.json lists them.", file=sys.stderr)
