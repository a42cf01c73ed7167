# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measure one step of the decoder: a frame and a word, at several lengths of the cache, and where its time goes.

    python benchmark/step.py --geometry 8b --json out.json
    python benchmark/step.py --geometry 8b --profile --trace trace.json

Weights are random and the cache is filled with noise. Every step is waited for, as the session waits for its decision.
`seconds_to_prepare` is what making a session takes: allocating the cache, and capturing and checking CUDA graphs.
`--profile` lists the kernels of a frame step, with the time in which the device had none. `--trace` is for
chrome://tracing or Perfetto.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from geometries import GEOMETRIES, build
from machine import describe_machine, peak_memory, synchronize
from stream import floor

from videollm_ros.live import ContextLimits, LiveModel
from videollm_ros.live.decoder import StreamDecoder
from videollm_ros.live.graphs import make_decoder

WARM_UP = 5
PROFILED_STEPS = 10


def time_steps(step: Callable[[], object], count: int, device: torch.device) -> dict[str, float]:
    """Return median and 99th percentile in ms."""
    seconds = []
    for number in range(WARM_UP + count):
        synchronize(device)
        began = time.perf_counter()
        step()
        synchronize(device)
        if number >= WARM_UP:
            seconds.append(time.perf_counter() - began)
    seconds.sort()
    return {"p50_ms": 1e3 * seconds[count // 2], "p99_ms": 1e3 * seconds[int(count * 0.99)]}


def measure(model: LiveModel, decoder: StreamDecoder, cached: int, count: int) -> dict[str, Any]:
    """Time a frame and a word behind `cached` tokens."""
    embeds = frame_embeds(model)
    decoder.cache.length = cached
    frame = time_steps(lambda: decoder.read(embeds), count, model.device)
    word = time_steps(lambda: decoder.read(embeds[:1]), count, model.device)
    figures: dict[str, Any] = {"cached_tokens": cached}
    figures |= {f"frame_{name}": value for name, value in frame.items()}
    figures |= {f"word_{name}": value for name, value in word.items()}
    figures["words_per_second"] = 1e3 / word["p50_ms"]
    figures["floor_ms"] = floor(model, cached)["floor_ms"]
    figures["frame_to_floor"] = frame["p50_ms"] / figures["floor_ms"]
    return figures


def frame_embeds(model: LiveModel) -> torch.Tensor:
    """Return noise of the size of a frame and the interval before it, [M, d]."""
    num_tokens = model.config.frame_num_tokens + len(model.template.interval_ids)
    width = model.llm.config.hidden_size
    return torch.randn(num_tokens, width, device=model.device).to(model.dtype)


def profile(model: LiveModel, decoder: StreamDecoder, cached: int, trace: Path | None) -> dict[str, Any]:
    """List the kernels of a frame step (the operators on a CPU), longest first."""
    embeds = frame_embeds(model)
    decoder.cache.length = cached
    on_cuda = model.device.type == "cuda"
    activities = [torch.profiler.ProfilerActivity.CPU]
    activities += [torch.profiler.ProfilerActivity.CUDA] if on_cuda else []
    time_steps(lambda: decoder.read(embeds), WARM_UP, model.device)
    with torch.profiler.profile(activities=activities) as profiler:
        began = time.perf_counter()
        for _ in range(PROFILED_STEPS):
            decoder.read(embeds)
        synchronize(model.device)
        wall = time.perf_counter() - began
    if trace:
        profiler.export_chrome_trace(str(trace))
    rows = []
    for event in profiler.key_averages():
        microseconds = (event.self_device_time_total if on_cuda else event.self_cpu_time_total) / PROFILED_STEPS
        if microseconds > 0:
            row = {"kernel": event.key, "calls": event.count / PROFILED_STEPS, "microseconds": microseconds}
            rows.append(row)
    rows.sort(key=lambda row: -row["microseconds"])
    busy = sum(row["microseconds"] for row in rows)
    step = 1e6 * wall / PROFILED_STEPS
    return {"cached_tokens": cached, "step_us": step, "busy_us": busy, "idle_us": step - busy, "kernels": rows[:40]}


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--geometry", choices=GEOMETRIES, default="demo")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", default=None, help="default: bfloat16 on CUDA, float32 elsewhere")
    parser.add_argument("--cached", type=int, nargs="+", default=[1000, 4000, 8000], help="tokens in the cache")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--profile", action="store_true", help="list kernels at the first length of --cached")
    parser.add_argument("--trace", type=Path, help="with --profile: write a trace here")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    given = parser.parse_args()
    device = torch.device(given.device)
    model = build(
        given.geometry, device, getattr(torch, given.dtype or ("bfloat16" if device.type == "cuda" else "float32"))
    )
    lengths = {1, len(frame_embeds(model))}
    synchronize(device)
    began = time.perf_counter()
    decoder = make_decoder(model.llm, ContextLimits(), lengths)
    synchronize(device)
    figures: dict[str, Any] = {"geometry": given.geometry, "seconds_to_prepare": time.perf_counter() - began}
    decoder.cache.memory.normal_()
    possible = [cached for cached in given.cached if cached + max(lengths) <= decoder.cache.max_tokens]
    possible = possible or [decoder.cache.max_tokens - max(lengths)]
    if given.profile:
        figures["profile"] = profile(model, decoder, possible[0], given.trace)
        print(f"{'us':>9} {'calls':>7}  kernel")
        for row in figures["profile"]["kernels"]:
            print(f"{row['microseconds']:9.1f} {row['calls']:7.1f}  {row['kernel'][:90]}")
    else:
        figures["steps"] = [measure(model, decoder, cached, given.steps) for cached in possible]
        for row in figures["steps"]:
            print("  ".join(f"{name} {value:.4g}" for name, value in row.items()))
    figures["peak_memory_gib"] = peak_memory(device) / 2**30
    figures["machine"] = describe_machine(device)
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
