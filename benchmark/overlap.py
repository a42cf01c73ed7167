# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Does the encoder stall the decoder? Frame steps with and without an encoder at work beside them.

    python benchmark/overlap.py --geometry demo --json out.json --picture docs/images/overlap.png

The decoder reads frames one after another, without a pause; the encoder gets camera frames at 10 Hz.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import threading
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from geometries import GEOMETRIES, build
from machine import describe_machine, synchronize

from videollm_ros.assistant.encoder import FrameEncoder
from videollm_ros.assistant.scheduler import FrameScheduler
from videollm_ros.live import LiveModel, StreamSession
from videollm_ros.media.sampling import StampSampler

ENCODER_HZ = 10.0
WARM_UP = 20  # frame steps
_SHOWN = 0.25  # seconds in the picture

Span = tuple[float, float]


def decode(model: LiveModel, session: StreamSession, num_frames: int) -> list[Span]:
    """Start and end of each frame step, in seconds."""
    config = model.config
    width = model.llm.get_input_embeddings().embedding_dim
    embeds = torch.randn(1, config.frame_num_tokens, width, device=model.device).to(model.dtype)
    session.reset()
    spans = []
    for index in range(num_frames):
        began = time.perf_counter()
        for _ in session.observe_embeds(embeds, [index / config.frame_fps], may_speak=False):
            pass  # the decision's copy to the host ends the step
        spans.append((began, time.perf_counter()))
    return spans[WARM_UP:]


def decode_beside_encoder(model: LiveModel, session: StreamSession, num_frames: int) -> tuple[list[Span], list[Span]]:
    """The same while an encoder gets a camera's frames; its batches' spans as well."""
    camera_frame = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    scheduler = FrameScheduler(StampSampler(ENCODER_HZ, max_gap=10.0), backlog=8)
    batches: list[Span] = []
    done = threading.Event()

    def fail(error: Exception) -> None:
        raise error

    def camera() -> None:
        for index in itertools.count():
            if done.wait(1 / ENCODER_HZ):
                scheduler.post_command(done.set)  # and so end the other thread
                return
            scheduler.offer(camera_frame, index / ENCODER_HZ)

    def take() -> None:
        while not (work := scheduler.wait()).commands:
            now = time.perf_counter()
            batches.extend((now - frame.encode_seconds, now) for frame in work.frames)

    encoder = FrameEncoder(model, scheduler, lambda image: image, fail, fail, fail)
    threads = [threading.Thread(target=target) for target in (camera, take)]
    for thread in threads:
        thread.start()
    try:
        return decode(model, session, num_frames), batches
    finally:
        done.set()
        for thread in threads:
            thread.join()
        scheduler.close()
        encoder.join()
        synchronize(model.device)


def draw(steps: list[Span], batches: list[Span], picture: Path) -> None:
    """A quarter of a second of both threads."""
    middle = steps[len(steps) // 2][0]
    figure, axes = plt.subplots(figsize=(10, 1.8), layout="constrained")
    for row, (name, spans) in enumerate((("decoder", steps), ("encoder", batches))):
        shown = [(start - middle, stop - start) for start, stop in spans if middle <= start < middle + _SHOWN]
        axes.broken_barh(shown, (row - 0.4, 0.8), color=f"C{row}", edgecolor="white", linewidth=0.3, label=name)
    axes.set(yticks=(0, 1), yticklabels=("decoder", "encoder"), xlim=(0, _SHOWN), xlabel="seconds")
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--geometry", choices=GEOMETRIES, default="demo")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    parser.add_argument("--picture", type=Path, help="draw both threads here")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    model = build(arguments.geometry, device, torch.bfloat16 if device.type == "cuda" else torch.float32)
    session = StreamSession(model)

    decode(model, session, WARM_UP + 50)
    alone = decode(model, session, arguments.frames)
    beside, batches = decode_beside_encoder(model, session, arguments.frames)
    again = decode(model, session, arguments.frames)
    milliseconds = [[1e3 * (stop - start) for start, stop in spans] for spans in (alone + again, beside)]
    figures = {
        "geometry": arguments.geometry,
        "encoder_hz": ENCODER_HZ,
        "frames_encoded": len(batches),
        "step_alone_p50_ms": statistics.median(milliseconds[0]),
        "step_beside_p50_ms": statistics.median(milliseconds[1]),
        "ratio_p50": statistics.median(milliseconds[1]) / statistics.median(milliseconds[0]),
        "ratio_mean": statistics.fmean(milliseconds[1]) / statistics.fmean(milliseconds[0]),
        "machine": describe_machine(device),
    }
    for name, value in figures.items():
        print(f"{name:26} {value:.4g}" if isinstance(value, float) else f"{name:26} {value}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")
    if arguments.picture:
        draw(beside, batches, arguments.picture)


if __name__ == "__main__":
    main()
