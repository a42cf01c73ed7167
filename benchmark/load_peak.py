# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measure how much memory it takes to load a checkpoint, compared with what its weights take afterwards.

    python benchmark/load_peak.py --quantization int8 --json out.json

The model has the geometry 1b and random weights stored in bfloat16. It is loaded in a process of its own. On a CPU
float16 is asked for, so that every weight is written anew, as on the way to a GPU. What counts is then the private
memory of the process, since the system can drop the mapped pages of the file at any time. On CUDA it is what the
allocator gave out.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import re
import tempfile
import threading
import time
from pathlib import Path

import torch
from geometries import GEOMETRIES, ROOT, build
from machine import describe_machine

from videollm_ros.live import LiveModel
from videollm_ros.live.quantization import QUANTIZATIONS, stored_bytes

CHECKPOINT = ROOT / "checkpoints" / "demo"


class PrivateMemory:
    """The largest private memory of this process, sampled every few milliseconds."""

    def __init__(self) -> None:
        self.peak, self._done = 0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._done.wait(0.003):
            self.peak = max(self.peak, private_bytes())

    def stop(self) -> int:
        """End the sampling and return the peak in bytes."""
        self._done.set()
        self._thread.join()
        return max(self.peak, private_bytes())


def private_bytes() -> int:
    """Return the anonymous memory of this process, in bytes."""
    return 1024 * int(re.search(r"RssAnon:\s+(\d+)", Path("/proc/self/status").read_text())[1])


def measure(folder: str, quantization: str | None, device_name: str) -> dict[str, float]:
    """Load a checkpoint and return peak, weights and seconds."""
    device = torch.device(device_name)
    dtype = torch.float16 if device.type == "cpu" else torch.bfloat16
    options = {"device": device, "dtype": dtype, "quantization": quantization}
    LiveModel.from_pretrained(CHECKPOINT, **options)  # imports and libraries take memory as well, but once
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    before, watch, began = private_bytes(), PrivateMemory(), time.perf_counter()
    model = LiveModel.from_pretrained(folder, **options)
    seconds, private = time.perf_counter() - began, watch.stop() - before
    weights = sum(map(stored_bytes, {id(weight): weight for weight in model.parameters()}.values()))
    peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else private
    return {
        "weights_gib": weights / 2**30,
        "load_peak_gib": peak / 2**30,
        "load_peak_ratio": peak / weights,
        "seconds": seconds,
    }


def main() -> None:
    """Save a model of the geometry, load it in another process, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--geometry", choices=GEOMETRIES, default="1b")
    parser.add_argument("--quantization", choices=QUANTIZATIONS, help="default: full weights")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        build(given.geometry, torch.device("cpu"), torch.bfloat16).save_pretrained(folder)
        with multiprocessing.get_context("spawn").Pool(1) as process:
            figures = process.apply(measure, (folder, given.quantization, given.device))
    figures = {"geometry": given.geometry, "quantization": given.quantization, **figures}
    for name, value in figures.items():
        print(f"{name:16} {value:.3f}" if isinstance(value, float) else f"{name:16} {value}")
    if given.json:
        figures["machine"] = describe_machine(torch.device(given.device))
        given.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
