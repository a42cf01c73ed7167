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
import importlib
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
LINKED = ("build", "install", ".venv")  # what the tests use and no fault touches
PRELOADED = ("torch", "transformers.models.llama.modeling_llama", "transformers.models.siglip.modeling_siglip", "peft")
"""Imported once: every fault is tested in a fork of this process, which saves the time that these take."""
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


def run_tests(folder: Path, tests: str, output: Path) -> None:
    """Run tests of the copy in this process until the first fails. Ends the process with the exit code of pytest."""
    with output.open("w") as file:
        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    os.environ["PYTHONPATH"] = f"{folder}:{os.environ.get('PYTHONPATH', '')}"
    options = ["-x", "-q", "--durations=0", "-p", "no:cacheprovider"]
    code = pytest.main([*options, *(f"test/{each}" for each in tests.split())])
    sys.stdout.flush()
    os._exit(code)


class Trial:
    """One fault in one copy, while its tests run."""

    def __init__(self, mutant: Mutant, folder: Path) -> None:
        """Put the fault into the copy and start its tests."""
        self.mutant, self.folder, self._began = mutant, folder, time.monotonic()
        self._path, self._output = folder / "videollm_ros" / mutant.file, folder / "output.txt"
        self._text = self._path.read_text(encoding="utf-8")
        self._count = self._text.count(mutant.old)
        self._process: Any = None
        if self._count == 1:
            self._path.write_text(self._text.replace(mutant.old, mutant.new), encoding="utf-8")
            fork = multiprocessing.get_context("fork")
            self._process = fork.Process(target=run_tests, args=(folder, mutant.tests, self._output))
            self._process.start()

    @property
    def is_over(self) -> bool:
        """Whether the tests have ended or have had their time."""
        return self._process is None or not self._process.is_alive() or time.monotonic() - self._began > TIMEOUT

    def judge(self) -> dict[str, Any]:
        """Take the fault out of the copy again. Returns what came of it."""
        row: dict[str, Any] = {"fault": self.mutant.what, "file": self.mutant.file, "tests": self.mutant.tests}
        if self._process is None:
            return row | {"outcome": "misplaced", "why": f"{self.mutant.old!r} is {self._count} times in the file"}
        if self._process.is_alive():
            self._process.kill()
            line, code = f"timed out after {TIMEOUT:g} s", 1
        else:
            lines = self._output.read_text(errors="replace").splitlines()
            failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
            line, code = (failed or lines or [""])[-1][:200], self._process.exitcode
        self._process.join()
        self._path.write_text(self._text, encoding="utf-8")
        outcome = {0: "survived", 1: "killed"}.get(code, "error")
        return row | {"outcome": outcome, "why": line, "seconds": round(time.monotonic() - self._began, 1)}


def try_all(mutants: list[Mutant], copies: list[Path]) -> list[dict[str, Any]]:
    """Try the faults, one in each copy at a time. Returns a row for each."""
    waiting, free, running, rows = list(mutants), list(copies), [], []
    while waiting or running:
        while waiting and free:
            running.append(Trial(waiting.pop(0), free.pop()))
        for trial in [each for each in running if each.is_over]:
            running.remove(trial)
            row = trial.judge()
            free.append(trial.folder)
            rows.append(row)
            print(f"{row['outcome']:9} {row['fault']} ({row['file']}): {row['why']}", flush=True)
        time.sleep(0.1)
    return rows


def main() -> int:
    """Judge the faults. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", help="only faults whose file or text has one of these words")
    parser.add_argument("--jobs", type=int, default=2, help="copies that are tested at a time (default: 2)")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    words = options.words
    chosen = [each for each in read_table() if not words or any(word in each.what + each.file for word in words)]
    for name in PRELOADED:
        importlib.import_module(name)
    with tempfile.TemporaryDirectory(prefix="mutants-") as place:
        rows = try_all(chosen, [copy_of_the_package(Path(place) / str(number)) for number in range(options.jobs)])
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
