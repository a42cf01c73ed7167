# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The simulator's streams as a source: dialogues with frames, which can be encoded once for all epochs."""

from __future__ import annotations

import copy
import functools
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from videollm_ros.data.dialogues import Dialogue, DialogueError
from videollm_ros.data.features import encode_frames
from videollm_ros.data.frame_labels import event_labels, state_labels
from videollm_ros.live import LiveModel
from videollm_ros.live.vision import VisionEncoder, letterbox
from videollm_ros.sim import MIN_RESOLUTION, Tabletop, to_record
from videollm_ros.sim.dialogue import frame_after
from videollm_ros.sim.questions import KINDS_OF_NOW, WEIGHTS

_SHORT_CONTEXT_SHARE = 0.5


@dataclass(frozen=True)
class SimulatorConfig:
    """Streams of the tabletop simulator, one per seed of [start, stop).

    Raises:
        ValueError: a setting is out of its range.
    """

    seeds: tuple[int, int]
    seconds: float = 60.0
    resolutions: tuple[int, ...] = (96,)
    """Sides of the rendered frames in pixels, taken in turn, before they are fitted to the vision tower."""
    windows: int = 0
    """Take this many short windows of each stream instead of the whole stream. Nothing is said before a window, and
    it ends where nothing happens."""
    window_seconds: tuple[float, float] = (1.0, 4.0)
    """How long a window is, at least and at most."""
    question_rate: float = 0.0
    """Questions that are added on average at every second in which nothing happens."""
    question_kinds: tuple[str, ...] = ()
    """Kinds of the added questions, drawn evenly, see `sim.Question`. Empty: all kinds, as often as in a test, and in
    windows the kinds about what is visible now."""
    same_color_events: int = 0
    """Only streams with at least this many events of an item that shares its color with another visible item. In
    these a color alone does not say which item is meant."""

    def __post_init__(self) -> None:
        """Check the settings."""
        if not 0 <= self.seeds[0] < self.seeds[1]:
            raise ValueError(f"data.simulator.seeds is [start, stop) with start < stop, not {list(self.seeds)}")
        if not self.seconds > 0:
            raise ValueError(f"data.simulator.seconds is a time above 0, not {self.seconds}")
        if not self.resolutions or min(self.resolutions) < MIN_RESOLUTION:
            raise ValueError(
                f"data.simulator.resolutions are {MIN_RESOLUTION} or more pixels each, not {list(self.resolutions)}"
            )
        if self.windows < 0 or self.question_rate < 0:
            raise ValueError("data.simulator.windows and question_rate cannot be negative")
        if not 0 < self.window_seconds[0] <= self.window_seconds[1]:
            raise ValueError(
                f"data.simulator.window_seconds is a shortest and a longest time, not {list(self.window_seconds)}"
            )
        unknown = [kind for kind in self.question_kinds if kind not in WEIGHTS]
        if unknown:
            raise ValueError(f"data.simulator.question_kinds are of {', '.join(WEIGHTS)}, not {unknown[0]!r}")


@dataclass(frozen=True)
class _Sample:
    """A dialogue, and how its stream is rendered."""

    dialogue: Dialogue
    stream: tuple[int, float, int]
    labels: Mapping[str, Tensor]


class SimulatorSource:
    """Streams or windows of streams. It renders frames until `encoded` has made features of them."""

    def __init__(
        self,
        config: SimulatorConfig,
        context_seconds: tuple[float, float] | None,
        model: LiveModel,
        seed: int,
        progress: bool = True,
    ) -> None:
        """Draw the streams.

        Args:
            config: which streams.
            context_seconds: about every second stream lasts up to twice as long, and has the frames of this many
                seconds only. What was said before stays.
            model: its frame rate and resolution are used.
            seed: of what is drawn.
            progress: show a bar while frames are encoded.

        Raises:
            DialogueError: no stream is as the configuration says.
        """
        self._fps, self._resolution = model.config.frame_fps, model.config.frame_resolution
        self._progress = progress
        self._features: list[Tensor] | None = None
        self.gives = frozenset({"features", "frames"})
        streams = [stream for stream in range(*config.seeds) if _is_wanted(stream, config)]
        if not streams:
            raise DialogueError(
                f"data.simulator: none of the streams {list(config.seeds)} has {config.same_color_events} "
                "same_color_events; take more seeds or fewer events"
            )
        self._samples = [
            sample for stream in streams for sample in self._samples_of(config, context_seconds, stream, seed)
        ]

    def __len__(self) -> int:
        """Return the number of streams or windows."""
        return len(self._samples)

    def dialogue(self, index: int, rng: random.Random | None) -> Dialogue:
        """Return a sample. It is the same every time."""
        return self._samples[index].dialogue

    def visual(self, index: int, dialogue: Dialogue) -> Tensor:
        """Return features [T, n, d_vision] once the source is encoded, else frames uint8 RGB [T, 3, R, R]."""
        if self._features is not None:
            return self._features[index]
        return self._frames(self._samples[index])

    def frame_labels(self, index: int) -> Mapping[str, Tensor]:
        """Return `events` [T, 3] and `states` [T, 7] of a sample, see `frame_labels`."""
        return self._samples[index].labels

    def check(self, dialogue: Dialogue) -> None:
        """Do nothing: what is rendered is there."""

    def encoded(self, vision: VisionEncoder, device: torch.device | str) -> SimulatorSource:
        """Encode all frames on `device`; return a source that gives features."""
        home: Any = vision.scale.device
        vision.to(device)
        try:
            frames = tqdm(
                self._read_ahead(), "encoding", len(self), unit="dialogue", delay=2, disable=not self._progress
            )
            features = [encode_frames(vision, shown, batch_size=128).half().cpu() for shown in frames]
        finally:
            vision.to(home)
        source = copy.copy(self)
        source._features = features
        return source

    def _frames(self, sample: _Sample) -> Tensor:
        start, stop = sample.dialogue.frames
        frames = torch.from_numpy(_shown(*sample.stream).frames(self._fps, start, stop)).permute(0, 3, 1, 2)
        return letterbox(frames, self._resolution).contiguous()

    def _read_ahead(self) -> Iterator[Tensor]:
        """Yield the frames of all samples. The next ones are rendered meanwhile."""
        with ThreadPoolExecutor(1, "renderer") as renderer:
            ahead = renderer.submit(self._frames, self._samples[0])
            for following in (*self._samples[1:], None):
                frames = ahead.result()
                if following is not None:
                    ahead = renderer.submit(self._frames, following)
                yield frames

    def _samples_of(
        self, config: SimulatorConfig, context_seconds: tuple[float, float] | None, stream: int, seed: int
    ) -> list[_Sample]:
        if config.windows:
            tabletop = _tabletop(config, stream, config.seconds)
            return [self._window(config, tabletop, (seed, stream, number)) for number in range(config.windows)]
        return [self._stream(config, context_seconds, stream, seed)]

    def _stream(
        self, config: SimulatorConfig, context_seconds: tuple[float, float] | None, stream: int, seed: int
    ) -> _Sample:
        """Return a whole stream, or a longer one of which only the last frames are in the context."""
        rng = random.Random(f"{seed}:memory:{stream}")
        shortened = context_seconds is not None and rng.random() < _SHORT_CONTEXT_SHARE
        tabletop = _tabletop(config, stream, config.seconds * rng.uniform(1, 2) if shortened else config.seconds)
        ask_more(tabletop, np.random.default_rng((seed, stream)), config.question_rate, config.question_kinds)
        num_frames = tabletop.num_frames(self._fps)
        remembered = num_frames
        if shortened and context_seconds is not None:
            remembered = round(rng.uniform(*context_seconds) * self._fps)
        return self._sample(tabletop, to_record(tabletop, self._fps), max(num_frames - remembered, 0))

    def _window(self, config: SimulatorConfig, tabletop: Tabletop, seed: tuple[int, ...]) -> _Sample:
        """Return a short window of a stream. All that may be said of it is visible in it."""
        fps, rng = self._fps, np.random.default_rng(seed)
        stop = frame_after(float(rng.choice(tabletop.quiet_seconds)), fps) + 1
        start = max(stop - max(1, round(rng.uniform(*config.window_seconds) * fps)), 0)
        for event in tabletop.events:
            # An event that is told in the window is seen there from its onset on.
            if event.onset < start / fps and start <= frame_after(event.time, fps) < stop:
                start = math.floor(event.onset * fps)
        tabletop.questions = []
        ask_more(tabletop, rng, config.question_rate, config.question_kinds or KINDS_OF_NOW)
        return self._sample(tabletop, to_record(tabletop, fps, start=start, stop=stop))

    def _sample(self, tabletop: Tabletop, line: dict[str, Any], forgotten: int = 0) -> _Sample:
        """Return the line of a dataset as a sample, without its first frames."""
        start, stop = line["frames"]
        first = start + forgotten
        labels = {
            "events": event_labels(tabletop, self._fps)[first:stop],
            "states": state_labels(tabletop, self._fps, start, stop)[forgotten:],
        }
        source = f"simulator seed {tabletop.seed}"
        dialogue = Dialogue(line["video"], (first, stop), line["conversation"], source, forgotten)
        return _Sample(dialogue, (tabletop.seed, tabletop.seconds, tabletop.resolution), labels)


def ask_more(tabletop: Tabletop, rng: np.random.Generator, rate: float, kinds: Sequence[str] = ()) -> None:
    """Add `rate` questions on average at every quiet second, answered in the style that the stream's requests set."""
    own = list(tabletop.questions)
    asked = {(question.time, question.text): question for question in own}
    for time in tabletop.quiet_seconds:
        full = any(question.style == "full" and question.time <= time for question in own)
        for _ in range(rng.poisson(rate)):
            question = tabletop.ask(rng, time, full, kinds)
            asked.setdefault((time, question.text), question)
    tabletop.questions = sorted(asked.values(), key=lambda question: question.time)


def _is_wanted(stream: int, config: SimulatorConfig) -> bool:
    if not config.same_color_events:
        return True
    tabletop = Tabletop(stream, config.seconds)
    same = 0
    for event in tabletop.events:
        others = [item for item in tabletop.state(event.onset).visible if item != event.item]
        same += any(item.colour == event.item.colour for item in others)
    return same >= config.same_color_events


def _tabletop(config: SimulatorConfig, stream: int, seconds: float) -> Tabletop:
    return Tabletop(stream, seconds, config.resolutions[stream % len(config.resolutions)])


@functools.lru_cache(maxsize=1)
def _shown(seed: int, seconds: float, resolution: int) -> Tabletop:
    """Return a stream to be rendered. What its camera has drawn is kept from one window to the next."""
    return Tabletop(seed, seconds, resolution)
