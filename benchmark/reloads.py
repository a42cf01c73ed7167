# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Load and free the model again and again, each time in another thread, as the node does. What stays resident?

python benchmark/reloads.py            # as the node does it
python benchmark/reloads.py --default  # with malloc as it is by default
"""

from __future__ import annotations

import argparse
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import numpy as np
import rclpy  # whose import starts threads, as in the node  # noqa: F401
import torch

from videollm_ros.assistant.queries import MAX_OUTSTANDING
from videollm_ros.assistant.stream import AssistantStream
from videollm_ros.demo_checkpoint import demo_checkpoint
from videollm_ros.live import LiveModel
from videollm_ros.node import allocator
from videollm_ros.node.model_memory import give_memory_back, keep_out_of_collections

FRAMES = 20  # read before and after a reset, at 2 Hz
THREADS = MAX_OUTSTANDING + 4  # of the node's executor


def load() -> AssistantStream:
    """Load the model and make a stream."""
    stream = AssistantStream(LiveModel.from_pretrained(demo_checkpoint()))
    keep_out_of_collections()
    return stream


def read(stream: AssistantStream) -> None:
    """Read frames, begin a new stream, and read frames again."""
    rng = np.random.default_rng(0)
    for _ in range(2):
        stream.reset("a new round").result()
        for index in range(FRAMES):
            image = rng.integers(0, 256, (480, 640, 3), dtype=np.uint8)
            stream.offer(image, index / 2, wait=True)
        stream.wait_until_idle()


def resident() -> float:
    """Return the resident MiB of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


def main() -> None:
    """Measure, and print the resident memory after each load."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=40)
    parser.add_argument("--default", action="store_true", help="leave malloc as it is")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.default:
        allocator.trim = lambda: None
    else:
        allocator.limit_arenas()
    rng, threads = random.Random(0), [ThreadPoolExecutor(1) for _ in range(THREADS)]
    meeting = threading.Barrier(THREADS)
    for thread in threads:
        thread.submit(meeting.wait)
    figures = []
    for _ in range(options.times):
        stream = rng.choice(threads).submit(load).result()
        read(stream)
        figures.append(resident())
        rng.choice(threads).submit(stream.close).result()
        del stream
        rng.choice(threads).submit(give_memory_back).result()
    print("MiB after each load:", " ".join(f"{each:.0f}" for each in figures))
    quarter = max(1, options.times // 4)
    print(
        "median of the quarters:", *(f"{median(figures[i : i + quarter]):.1f}" for i in range(0, len(figures), quarter))
    )


if __name__ == "__main__":
    main()
