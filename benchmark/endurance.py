# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Does it stay as fast, as small and as right after days of stream?

    python benchmark/endurance.py --frames 50000 --json out.json

The demo checkpoint watches one simulated stream frame by frame, with questions, and says what happens all the while.
While it reads the last tenth, a second session, whose first tenth is over, reads its second tenth in turns with it:
`step_ratio` is the mean frame step of the one over that of the other. Within one session the two are minutes apart, in
which a machine's own speed changes (`step_ratio_minutes_apart`).
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
import psutil
import torch
from geometries import ROOT  # noqa: F401  (makes the package importable)
from machine import describe_machine
from tqdm import tqdm

from videollm_ros.evaluation import score_stream
from videollm_ros.live import ContextLimits, LiveModel, Step, StreamSession, Utterance
from videollm_ros.sim import Tabletop

ENCODED_AT_ONCE = 50


class FrameTimes:
    """How long each frame step took, with the eviction before it: seconds of the wall, and of the processor."""

    def __init__(self, num_frames: int) -> None:
        """Allocate everything now, so that it does not count as growth."""
        self.steps = np.ones((num_frames, 2))
        self.num_steps = 0
        self._eviction = self._began_cpu = 0.0

    def begin(self) -> None:
        """Begin to count the processor's time."""
        self._began_cpu = time.process_time()

    def record(self, step: Step) -> None:
        """Take a step that a session has finished."""
        if step.kind == "eviction":
            self._eviction += step.seconds
        elif step.kind == "frames":
            self.steps[self.num_steps] = self._eviction + step.seconds, time.process_time() - self._began_cpu
            self.num_steps += 1
            self._eviction = 0.0


class Watcher:
    """A session that watches a simulated stream of its own, a few frames at a time; what was said is soon forgotten."""

    def __init__(self, model: LiveModel, context: ContextLimits, seed: int, num_frames: int, window: int) -> None:
        self.fps = model.config.frame_fps
        self.times = FrameTimes(num_frames)
        self.session = StreamSession(model, context=context, on_step=self.times.record)
        self.f1: list[float] = []
        """Event F1 of each window of frames."""
        self._tabletop = Tabletop(seed, num_frames / self.fps, model.config.frame_resolution)
        self._questions = list(self._tabletop.questions)
        self._window, self._said = window, []
        self._next = 0

    def advance(self) -> None:
        """Watch the next `ENCODED_AT_ONCE` frames."""
        model, start, stop = self.session.model, self._next, self._next + ENCODED_AT_ONCE
        frames = torch.from_numpy(self._tabletop.frames(self.fps, start, stop)).permute(0, 3, 1, 2)
        with torch.inference_mode():
            embeds = model.embed(model.encode(model.prepare(frames)))
        while self._questions and self._questions[0].time < stop / self.fps:
            self.session.ask(self._questions[0].text, self._questions.pop(0).time)
        for index in range(start, stop):
            self.times.begin()
            events = self.session.observe_embeds(embeds[index - start][None], [index / self.fps])
            self._said += [event for event in events if isinstance(event, Utterance)]
        self._next = stop
        if stop % self._window == 0:
            self.f1.append(event_f1(self._said, self._tabletop, (stop - self._window) / self.fps, stop / self.fps))
            self._said = []


def event_f1(said: list[Utterance], tabletop: Tabletop, start: float, stop: float) -> float:
    """Of the events and the unasked utterances in [start, stop) seconds."""
    events = [event for event in tabletop.events if start <= event.time < stop - 1]
    return score_stream(said, events, [], stop).figures()["event_f1"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", default=Path(__file__).resolve().parents[1] / "checkpoints" / "demo")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--frames", type=int, default=50_000, help=f"a multiple of {20 * ENCODED_AT_ONCE}")
    parser.add_argument("--seed", type=int, default=9_500)
    parser.add_argument("--max-tokens", type=int, default=None, help="context.max_tokens")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    arguments = parser.parse_args()
    if arguments.frames < 1 or arguments.frames % (20 * ENCODED_AT_ONCE):
        parser.error(f"--frames is a multiple of {20 * ENCODED_AT_ONCE}, not {arguments.frames}")
    tenth = arguments.frames // 10
    window = min(1000, tenth)
    torch.set_num_threads(1)  # threads of so small a model wait for each other
    model = LiveModel.from_pretrained(arguments.checkpoint, device=arguments.device)
    context = ContextLimits(max_tokens=arguments.max_tokens)
    old = Watcher(model, context, arguments.seed, arguments.frames, window)
    resident, process = [], psutil.Process()
    young = None
    for frame in tqdm(range(0, arguments.frames, ENCODED_AT_ONCE), unit=f"{ENCODED_AT_ONCE} frames"):
        if frame == arguments.frames - tenth:
            memory = resident[:]  # before there is a second session
            young = Watcher(model, context, arguments.seed + 1, 2 * tenth, window)
            for _ in range(tenth // ENCODED_AT_ONCE):
                young.advance()
        old.advance()
        if young is not None:
            young.advance()
        resident.append(process.memory_info().rss)

    # Both in the same minutes, taking turns: a machine's speed drifts by more than what is asked.
    late, early = old.times.steps[-tenth:].mean(axis=0), young.times.steps[-tenth:].mean(axis=0)
    once = old.times.steps[tenth : 2 * tenth].mean(axis=0)
    # What the allocator keeps of a batch's temporaries comes and goes by some MiB: medians, as the question is a trend.
    samples = tenth // ENCODED_AT_ONCE
    memory_early, memory_late = statistics.median(memory[samples : 2 * samples]), statistics.median(memory[-samples:])
    figures = {
        "frames": arguments.frames,
        "step_ratio": late[0] / early[0],
        "step_cpu_ratio": late[1] / early[1],
        "step_ratio_minutes_apart": late[0] / once[0],
        "step_mean_ms": 1e3 * old.times.steps[:, 0].mean(),
        "memory_growth": memory_late / memory_early - 1,
        "memory_mib": memory_late / 2**20,
        "memory_max_mib": max(memory) / 2**20,
        "event_f1_first": old.f1[0],
        "event_f1_last": old.f1[-1],
        "event_f1_mean": statistics.fmean(old.f1),
        "context_tokens": old.session.state.max_tokens,
        "evictions": old.session.state.evictions,
        "machine": describe_machine(model.device),
    }
    for name, value in figures.items():
        print(f"{name:26} {value:.4g}" if isinstance(value, float) else f"{name:26} {value}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
