# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the machine can do at most, measured, and what it is called."""

from __future__ import annotations

import platform
import resource
import time
from collections.abc import Callable
from pathlib import Path

import torch


def describe_machine(device: torch.device) -> dict[str, str | int]:
    cpu = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        cpu = names[0] if names else cpu
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else f"{cpu}, CPU",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_memory(device: torch.device) -> int:
    """Bytes: of the GPU's allocator, or of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure_copy_bandwidth(device: torch.device) -> float:
    """Bytes per second that can be read while as many are written, both counted."""
    size = 2**30 if device.type == "cuda" else 2**27
    source = torch.empty(size, dtype=torch.uint8, device=device).fill_(1)
    target = torch.empty_like(source)
    return 2 * size / _best(lambda: target.copy_(source), device)


def measure_matmul_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Floating point operations per second of a large square product."""
    side = 8192 if device.type == "cuda" else 1024
    left, right = torch.randn(2, side, side, device=device).to(dtype)
    return 2 * side**3 / _best(lambda: left @ right, device)


def _best(action: Callable[[], object], device: torch.device, repeats: int = 10) -> float:
    seconds = []
    for _ in range(repeats):
        synchronize(device)
        began = time.perf_counter()
        action()
        synchronize(device)
        seconds.append(time.perf_counter() - began)
    return min(seconds)
