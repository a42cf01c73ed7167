# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run everything that only a GPU can show, part by part, and keep what each part writes.

    python benchmark/gpu.py --output benchmark/results/gpu-h100/

Each part is a process of its own with a time limit. A part that fails or takes too long does not stop the others. A
second call with the same folder runs only what is not done yet. The first four groups take less than nine minutes:
correctness, streams, a profile of one step, and the encoder beside the decoder.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SUMMARY = "summary.json"


@dataclass(frozen=True)
class Part:
    """One process to run."""

    name: str
    command: tuple[str, ...]
    minutes: float
    """Time limit."""


def make_parts(output: Path, geometry: str, small: str, device: str) -> list[Part]:
    """List the parts in the order in which they matter.

    Args:
        output: folder of the results.
        geometry: of the model that all is about, "8b".
        small: of a second, smaller one, "1b".
        device: "cuda", or "cpu" to try the parts themselves.
    """

    def benchmark(name: str, minutes: float, script: str, *options: str, json_file: bool = True) -> Part:
        command = (sys.executable, str(ROOT / "benchmark" / f"{script}.py"), *options, "--device", device)
        return Part(name, (*command, "--json", str(output / f"{name}.json")) if json_file else command, minutes)

    tests = ("-m", "pytest", "-m", "gpu", "-q", f"--junitxml={output / 'tests.xml'}", str(ROOT / "test"))
    large, trace = ("--geometry", geometry), ("--trace", str(output / "trace.json"))
    parts = [Part("tests", (sys.executable, *tests), 3)]
    parts += [benchmark(f"step_{one}", 2, "step", "--geometry", one) for one in (geometry, small)]
    parts += [benchmark(f"stream_{one}", 3, "stream", "--geometry", one, "--rounds", "1") for one in (geometry, small)]
    parts += [benchmark("profile", 1, "step", *large, "--profile", "--cached", "4000", *trace)]
    parts += [benchmark("overlap", 2, "overlap", *large, "--picture", str(output / "overlap.png"))]
    for name in ("int8", "int4", "fp8"):
        parts += [benchmark(f"stream_{name}", 4, "stream", *large, "--rounds", "1", "--quantization", name)]
        parts += [benchmark(f"load_peak_{name}", 3, "load_peak", "--geometry", small, "--quantization", name)]
    parts += [
        benchmark("quantization", 5, "quantization", "--streams", "20"),
        benchmark("training", 5, "training", *large, "--dialogues", "1"),
        benchmark("endurance", 10, "endurance", "--frames", "5000"),
    ]
    if (ROOT / "benchmark" / "many_streams.py").exists():
        parts += [benchmark("many_streams", 5, "many_streams", *large)]
    return parts


def run_part(part: Part, output: Path) -> dict[str, object]:
    """Run a part, with its output in `NAME.log`. Its whole process group ends at the time limit."""
    began = time.monotonic()
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": os.pathsep.join([str(ROOT), *_python_path()])}
    with open(output / f"{part.name}.log", "wb") as log:
        process = subprocess.Popen(
            part.command, stdout=log, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
        try:
            code = process.wait(60 * part.minutes)
            status = "ok" if code == 0 else f"failed with exit code {code}"
        except subprocess.TimeoutExpired:
            status = f"stopped after {part.minutes:g} minutes"
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    return {"status": status, "seconds": round(time.monotonic() - began, 1), "command": list(part.command)}


def run_parts(parts: Sequence[Part], output: Path) -> dict[str, dict[str, object]]:
    """Run the parts that are not done, and note each in `summary.json` as soon as it ends.

    Returns:
        the summary: status, seconds and command of each part.
    """
    output.mkdir(parents=True, exist_ok=True)
    path = output / SUMMARY
    summary: dict[str, dict[str, object]] = json.loads(path.read_text()) if path.exists() else {}
    for part in parts:
        if summary.get(part.name, {}).get("status") == "ok":
            print(f"{part.name:16} done before", flush=True)
            continue
        summary[part.name] = run_part(part, output)
        print(f"{part.name:16} {summary[part.name]['status']}, {summary[part.name]['seconds']} s", flush=True)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(summary, indent=2) + "\n")
        partial.replace(path)  # a killed run leaves the summary of what is done
    return summary


def _python_path() -> list[str]:
    return [place for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place]


def main() -> None:
    """Run from the command line. The exit code is 1 if a part is not done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="folder of the results")
    parser.add_argument("--geometry", default="8b")
    parser.add_argument("--small-geometry", default="1b")
    parser.add_argument("--device", default="cuda", help="cpu tries the parts themselves, with --geometry demo")
    parser.add_argument("--parts", nargs="+", help="names of parts; default: all")
    parser.add_argument("--list", action="store_true", help="print the parts and their time limits")
    given = parser.parse_args()
    parts = make_parts(given.output.resolve(), given.geometry, given.small_geometry, given.device)
    if given.parts:
        unknown = set(given.parts) - {part.name for part in parts}
        if unknown:
            parser.error(f"unknown parts {', '.join(sorted(unknown))}; there are {', '.join(p.name for p in parts)}")
        parts = [part for part in parts if part.name in given.parts]
    if given.list:
        for part in parts:
            print(f"{part.name:16} {part.minutes:4g} min  {' '.join(part.command[1:])}")
        return
    summary = run_parts(parts, given.output)
    sys.exit(any(summary[part.name]["status"] != "ok" for part in parts))


if __name__ == "__main__":
    main()
