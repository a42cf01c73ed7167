# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Put small faults into a copy of the package, one at a time, and see whether the tests notice each.

    source ./activate.sh
    python benchmark/mutants.py --json benchmark/results/mutants.json

The faults are a table, benchmark/mutants.yaml. Each was chosen because it would hurt somebody. mutmut and
cosmic-ray make their own faults from every operator of a file, and cannot take a list of named ones. The exit code is
1 if a fault was not noticed, or if its place in the code is not there any more.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

import yaml
from geometries import ROOT

LINKED = ("build", "install", ".venv")  # what the tests use and no fault touches
TIMEOUT = 400.0  # seconds for the tests of one fault; a fault that makes them hang is noticed


class Mutant(NamedTuple):
    """One fault, as the table has it."""

    what: str
    file: str
    old: str
    new: str
    tests: str


def read_table() -> list[Mutant]:
    """Return all faults of the table."""
    lists = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
    return [Mutant(**each) for rows in lists.values() for each in rows]


def copy_of_the_package(folder: Path) -> Path:
    """Copy all that git knows or would take to `folder`, and link what was built."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    for name in listed:
        if (ROOT / name).is_file() and not (ROOT / name).is_symlink():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    for name in LINKED:
        if (ROOT / name).exists():
            (folder / name).symlink_to((ROOT / name).resolve())
    return folder


def run_tests(folder: Path, tests: str) -> tuple[int, str]:
    """Run tests of the copy until the first fails. Returns the exit code of pytest and the last line."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--durations=0", "-p", "no:cacheprovider"]
    environment = os.environ | {"PYTHONPATH": f"{folder}:{os.environ.get('PYTHONPATH', '')}"}
    try:
        ended = subprocess.run(
            [*command, *(f"test/{each}" for each in tests.split())],
            cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=TIMEOUT, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return 1, f"timed out after {TIMEOUT:g} s"
    failed = [line for line in ended.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return ended.returncode, (failed or ended.stdout.splitlines() or [""])[-1][:200]


def judge(mutant: Mutant, folder: Path) -> dict[str, Any]:
    """Put one fault into the copy, run its tests, and take it out again."""
    path, began = folder / "videollm_ros" / mutant.file, time.monotonic()
    text = path.read_text(encoding="utf-8")
    row: dict[str, Any] = {"fault": mutant.what, "file": mutant.file, "tests": mutant.tests}
    if text.count(mutant.old) != 1:
        return row | {"outcome": "misplaced", "why": f"{mutant.old!r} is {text.count(mutant.old)} times in the file"}
    path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
    try:
        code, line = run_tests(folder, mutant.tests)
    finally:
        path.write_text(text, encoding="utf-8")
    outcome = {0: "survived", 1: "killed"}.get(code, "error")
    return row | {"outcome": outcome, "why": line, "seconds": round(time.monotonic() - began, 1)}


def main() -> int:
    """Judge the faults. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", help="only faults whose file or text has one of these words")
    parser.add_argument("--jobs", type=int, default=2, help="copies that are tested at a time (default: 2)")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    words = options.words
    chosen = [each for each in read_table() if not words or any(word in each.what + each.file for word in words)]
    with tempfile.TemporaryDirectory(prefix="mutants-") as place, ThreadPoolExecutor(options.jobs) as pool:
        copies: SimpleQueue[Path] = SimpleQueue()
        for number in range(options.jobs):
            copies.put(copy_of_the_package(Path(place) / str(number)))

        def one(mutant: Mutant) -> dict[str, Any]:
            folder = copies.get()
            try:
                row = judge(mutant, folder)
            finally:
                copies.put(folder)
            print(f"{row['outcome']:9} {mutant.what} ({mutant.file}): {row['why']}", flush=True)
            return row

        rows = list(pool.map(one, chosen))
    counts = {
        outcome: sum(row["outcome"] == outcome for row in rows)
        for outcome in ("killed", "survived", "misplaced", "error")
    }
    print(counts)
    if options.json:
        options.json.write_text(json.dumps({"faults": len(rows), **counts, "rows": rows}, indent=1) + "\n")
    return 0 if counts["killed"] == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
