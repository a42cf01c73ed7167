# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Throw malformed input at what reads input from outside, and count what goes wrong.

    python benchmark/fuzz.py --cases 10000 --json benchmark/results/fuzz.json

Every target is a file of benchmark/fuzzing/ with a hypothesis strategy `cases` and a function `run(case)`. It returns
how many bytes the result takes if the input was accepted, and raises `Refused` with a sentence if it was not. Anything
else is a crash. A target may have a function `prepare`, which is called once before. Each target runs in a process of
its own, so that a segmentation fault is a result too. The exit code is 1 if there was a crash, if a refusal was no
sentence, if the peak of the memory beyond the result reached 64 MiB, or if something was written to stderr past the
logging.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from fuzzing import Refused
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings

TARGETS = {
    "images": "sensor_msgs/Image messages -> media.images.to_rgb",
    "compressed": "sensor_msgs/CompressedImage messages -> media.images.to_rgb",
    "queries": "queries -> AssistantStream.ask, up to the answer",
    "checkpoints": "checkpoint folders -> LiveModel.from_pretrained",
    "params": "params files -> rclpy.init, node.NodeParameters",
    "dialogues": "dialogue files -> data.dialogues.parse_dialogue",
    "annotations": "annotation files -> data.convert",
}
MEMORY_LIMIT = 64 << 20  # bytes beyond the result
LONGEST_SENTENCE = 1000  # characters


def peak_bytes() -> int:
    """Return the largest memory that this process has occupied since `forget_peak`."""
    return _status("VmHWM")


def resident_bytes() -> int:
    """Return the memory that this process occupies now."""
    return _status("VmRSS")


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(name))


def forget_peak() -> None:
    """Let the kernel measure the peak anew from here (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")


class Count:
    """What came of the cases of one target."""

    def __init__(self, run: Any) -> None:
        self._run = run
        self.figures: dict[str, Any] = {
            "cases": 0,
            "accepted": 0,
            "refused": 0,
            "crashes": 0,
            "bad_sentences": 0,
            "peak_beyond_result_MiB": 0.0,
            "longest_sentence": 0,
            "slowest_s": 0.0,
        }
        self.examples: list[str] = []  # of crashes and bad sentences

    def one(self, case: Any) -> None:
        """Run one case."""
        figures, result_bytes = self.figures, 0
        figures["cases"] += 1
        forget_peak()
        before, started = resident_bytes(), time.monotonic()
        try:
            result_bytes = self._run(case)
            figures["accepted"] += 1
        except Refused as refusal:
            figures["refused"] += 1
            self._judge(str(refusal), case)
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            figures["crashes"] += 1
            self._keep(f"{type(error).__name__}: {error}", case)
        beyond = max(0, peak_bytes() - before - result_bytes) / 2**20
        figures["peak_beyond_result_MiB"] = round(max(figures["peak_beyond_result_MiB"], beyond), 1)
        figures["slowest_s"] = round(max(figures["slowest_s"], time.monotonic() - started), 3)

    def _judge(self, sentence: str, case: Any) -> None:
        self.figures["longest_sentence"] = max(self.figures["longest_sentence"], len(sentence))
        if not sentence or "\n" in sentence or len(sentence) > LONGEST_SENTENCE:
            self.figures["bad_sentences"] += 1
            self._keep(f"no sentence: {sentence!r}", case)

    def _keep(self, what: str, case: Any) -> None:
        if len(self.examples) < 10:
            self.examples.append(f"{what[:500]} <- {case!r:.1000}")


def fuzz(target: str, num_cases: int, first_seed: int) -> dict[str, Any]:
    """Run a target in this process."""
    module = importlib.import_module(f"fuzzing.{target}")
    if hasattr(module, "prepare"):  # what is loaded once is no case's memory
        module.prepare()
    count = Count(module.run)

    @seed(first_seed)
    @settings(
        max_examples=num_cases,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )
    @given(module.cases)
    def every(case: Any) -> None:
        count.one(case)

    started = time.monotonic()
    with tempfile.TemporaryFile() as file:
        kept = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            every()
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        written = file.seek(0, os.SEEK_END)
        file.seek(0)
        stderr = file.read(500).decode(errors="replace")
    figures = count.figures | {"seconds": round(time.monotonic() - started, 1)}
    if not getattr(module, "MAY_WRITE_TO_STDERR", False):
        figures |= {"stderr_bytes": written, "stderr": stderr}
    return figures | {"examples": count.examples}


def fuzz_apart(target: str, num_cases: int, first_seed: int) -> dict[str, Any]:
    """Run a target in a process of its own; one that dies counts as a crash."""
    command = [sys.executable, __file__, target, "--cases", str(num_cases), "--seed", str(first_seed), "--here"]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if ended.returncode:
        return {"crashes": 1, "examples": [f"the process ended with the exit code {ended.returncode}"]}
    return json.loads(ended.stdout.splitlines()[-1])


def is_good(figures: dict[str, Any]) -> bool:
    """Return whether nothing went wrong."""
    wrong = figures["crashes"] + figures.get("bad_sentences", 0) + figures.get("stderr_bytes", 0)
    return not wrong and figures.get("peak_beyond_result_MiB", 0.0) < MEMORY_LIMIT / 2**20


def main() -> int:
    """Run the targets. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--cases", type=int, default=10_000, help="per target (default: 10000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--here", action="store_true", help="run the one target in this process")
    arguments = parser.parse_args()
    targets = arguments.targets or list(TARGETS)
    if arguments.here:
        print(json.dumps(fuzz(targets[0], arguments.cases, arguments.seed)))
        return 0
    results = {}
    for target in targets:
        print(f"{target}: {arguments.cases} cases ...", flush=True)
        results[target] = fuzz_apart(target, arguments.cases, arguments.seed)
        print(target, json.dumps(results[target], indent=2), flush=True)
    if arguments.json:
        about = {"seed": arguments.seed, "python": platform.python_version(), "targets": results}
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(about, indent=2) + "\n")
    return 0 if all(map(is_good, results.values())) else 1


if __name__ == "__main__":
    sys.exit(main())
