# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Does it stay as fast, as small and as right after days of stream?

    python benchmark/endurance.py --frames 50000 --json out.json

The demo checkpoint watches one simulated stream frame by frame, with questions, and says what happens all the while.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import psutil
import torch
from geometries import ROOT  # noqa: F401  (makes the package importable)
from machine import describe_machine
from torch import Tensor
from tqdm import tqdm

from videollm_ros.evaluation import score_stream
from videollm_ros.live import ContextLimits, LiveModel, StreamSession, Utterance
from videollm_ros.live.context import Reading
from videollm_ros.sim import Tabletop

ENCODED_AT_ONCE = 50


class TimedSession(StreamSession):
    """A session that remembers how long each frame step took: the wall's seconds, and the processor's."""

    def __init__(self, model: LiveModel, context: ContextLimits, num_frames: int) -> None:
        super().__init__(model, context=context)
        self.steps = np.zeros((num_frames, 2))  # allocated and written once, so that it does not count as growth
        self.num_steps = 0
        read_frames, make_room = self._context.read_frames, self._context.make_room_for_frames
        began, began_cpu = 0.0, 0.0

        def timed_room(now: float) -> int:
            nonlocal began, began_cpu
            began, began_cpu = time.perf_counter(), time.process_time()  # eviction is part of the step
            return make_room(now)

        def timed(embeds: Tensor, stamps: Sequence[float]) -> list[Reading]:
            readings = read_frames(embeds, stamps)
            self.steps[self.num_steps] = time.perf_counter() - began, time.process_time() - began_cpu
            self.num_steps += 1
            return readings

        self._context.read_frames, self._context.make_room_for_frames = timed, timed_room


def watch(session: TimedSession, tabletop: Tabletop, num_frames: int, window: int) -> tuple[list[float], list[int]]:
    """Event F1 of each window of frames, and the process's resident bytes after every `ENCODED_AT_ONCE` frames; what
    was said is not kept."""
    model, fps = session.model, session.model.config.frame_fps
    questions = list(tabletop.questions)
    f1, resident = [], []
    process = psutil.Process()
    for first in tqdm(range(0, num_frames, window), unit=f"{window} frames"):
        said: list[Utterance] = []
        for start in range(first, min(first + window, num_frames), ENCODED_AT_ONCE):
            stop = min(start + ENCODED_AT_ONCE, first + window, num_frames)
            frames = torch.from_numpy(tabletop.frames(fps, start, stop)).permute(0, 3, 1, 2)
            with torch.inference_mode():
                embeds = model.embed(model.encode(model.prepare(frames)))
            while questions and questions[0].time < stop / fps:
                session.ask(questions[0].text, questions.pop(0).time)
            for index in range(start, stop):
                events = session.stream_embeds(embeds[index - start][None], [index / fps])
                said += [event for event in events if isinstance(event, Utterance)]
            resident.append(process.memory_info().rss)
        f1.append(event_f1(said, tabletop, first / fps, (first + window) / fps))
    return f1, resident


def event_f1(said: list[Utterance], tabletop: Tabletop, start: float, stop: float) -> float:
    """Of the events and the unasked utterances in [start, stop) seconds."""
    events = [event for event in tabletop.events if start <= event.time < stop - 1]
    return score_stream(said, events, [], stop).figures()["event_f1"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", default=Path(__file__).resolve().parents[1] / "checkpoints" / "demo")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--frames", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=9_500)
    parser.add_argument("--max-tokens", type=int, default=None, help="context.max_tokens")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    arguments = parser.parse_args()
    tenth = arguments.frames // 10
    window = min(1000, tenth)
    torch.set_num_threads(1)  # threads of so small a model wait for each other
    model = LiveModel.from_pretrained(arguments.checkpoint, device=arguments.device)
    fps = model.config.frame_fps
    tabletop = Tabletop(arguments.seed, arguments.frames / fps, model.config.frame_resolution)
    session = TimedSession(model, ContextLimits(max_tokens=arguments.max_tokens), arguments.frames)
    session.steps.fill(1.0)
    f1, resident = watch(session, tabletop, arguments.frames, window)

    early, late = session.steps[tenth : 2 * tenth].mean(axis=0), session.steps[-tenth:].mean(axis=0)
    # What the allocator keeps of a batch's temporaries comes and goes by some MiB: medians, as the question is a trend.
    samples = max(1, len(resident) // 10)
    memory_early = statistics.median(resident[samples : 2 * samples])
    memory_late = statistics.median(resident[-samples:])
    figures = {
        "frames": arguments.frames,
        "step_ratio": late[0] / early[0],
        "step_cpu_ratio": late[1] / early[1],
        "step_mean_ms": 1e3 * session.steps[:, 0].mean(),
        "memory_growth": memory_late / memory_early - 1,
        "memory_mib": memory_late / 2**20,
        "memory_max_mib": max(resident) / 2**20,
        "event_f1_first": f1[0],
        "event_f1_last": f1[-1],
        "event_f1_mean": statistics.fmean(f1),
        "context_tokens": session.state.max_tokens,
        "evictions": session.state.evictions,
        "machine": describe_machine(model.device),
    }
    for name, value in figures.items():
        print(f"{name:26} {value:.4g}" if isinstance(value, float) else f"{name:26} {value}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
