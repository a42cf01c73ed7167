# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Convert timed notes of a thousand to a million recordings, and read a large JSON: seconds and peak memory.

python benchmark/convert.py --recordings 1000 10000 100000 1000000 --gigabytes 2 --json out.json

Each run is a process of its own. Its notes are in random order, four of each recording. "start" is the same command
with one recording: what Python and the libraries take.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from machine import describe_machine

_NOTES = 4  # of one recording


def write_notes(folder: Path, recordings: int) -> None:
    """Write notes and durations of so many recordings of 30 s."""
    order = list(range(recordings))
    random.Random(0).shuffle(order)
    with (folder / "notes.jsonl").open("w") as notes, (folder / "durations.json").open("w") as durations:
        for note in range(_NOTES):
            for each in order:
                entry = {
                    "recording": f"r{each}",
                    "start": 1.3 + 6.1 * note,
                    "text": f"Step {note} of the work is done.",
                }
                notes.write(json.dumps(entry) + "\n")
        durations.write("{" + ",".join(f'"r{each}":30.0' for each in range(recordings)) + "}")


def write_large_json(folder: Path, gigabytes: float) -> None:
    """Write narrations in Ego4D's format, of which one video is wanted, and the rest are of no use."""
    entry = {"time": 1.5, "text": "#C C picks up a cup", "_annotation_uid": "pass1"}
    video = json.dumps({"narrations": [dict(entry, time=1.5 + index / 10) for index in range(1000)]})
    with (folder / "all_narrations_redacted.json").open("w") as file:
        file.write('{"videos": {')
        number = 0
        while file.tell() < gigabytes * 2**30:
            file.write(f'"r{number}": {video}, ')
            number += 1
        file.write(f'"last": {video}}}}}')
    (folder / "narration_stream_video_uids_train.json").write_text('["last"]')
    (folder / "durations.json").write_text('{"last": 30.0}')


def measure(folder: Path, source: str, annotations: Path) -> dict[str, Any]:
    """Convert in a process of its own; return its seconds, its peak memory and what it wrote."""
    command = [sys.executable, "-m", "videollm_ros.data", "convert", source, "--annotations", str(annotations)]
    command += ["--durations", str(folder / "durations.json"), "--split", "train"]
    command += ["--output", str(folder / "dialogues.jsonl")]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    if status:
        raise RuntimeError(f"the conversion failed: {' '.join(command)}")
    with (folder / "dialogues.jsonl").open() as lines:
        dialogues = sum(1 for _ in lines)
    return {"dialogues": dialogues, "seconds": seconds, "peak_mib": usage.ru_maxrss / 1024}


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", type=int, nargs="+", default=[1000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--gigabytes", type=float, default=0.0, help="size of the large JSON (default none)")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = []
    print("what                     dialogues    seconds   peak memory")
    for recordings in [1, *arguments.recordings]:
        with tempfile.TemporaryDirectory() as name:
            write_notes(Path(name), recordings)
            what = "start" if recordings == 1 else "timed JSONL"
            rows.append({"what": what} | measure(Path(name), "timed", Path(name) / "notes.jsonl"))
        _print(rows[-1])
    if arguments.gigabytes:
        with tempfile.TemporaryDirectory() as name:
            write_large_json(Path(name), arguments.gigabytes)
            what = f"JSON of {arguments.gigabytes:g} GiB"
            rows.append({"what": what} | measure(Path(name), "ego4d-narration", Path(name)))
        _print(rows[-1])
    if arguments.json:
        result = {"machine": describe_machine(torch.device("cpu")), "rows": rows}
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


def _print(row: dict[str, Any]) -> None:
    print(f"{row['what']:<20} {row['dialogues']:>13,} {row['seconds']:>10.1f} {row['peak_mib']:>9.0f} MiB", flush=True)


if __name__ == "__main__":
    main()
