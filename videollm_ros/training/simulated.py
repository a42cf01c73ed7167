# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The simulator's streams as training sources: dialogues with frames, whose features can be encoded once for all."""

from __future__ import annotations

import functools
import math
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import zip_longest

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from videollm_ros.data.dialogues import Dialogue
from videollm_ros.live import LiveModel
from videollm_ros.live.template import IGNORED
from videollm_ros.live.vision import VisionEncoder, letterbox
from videollm_ros.sim import Event, Item, Tabletop, record
from videollm_ros.sim.dialogue import frame_after, replies
from videollm_ros.sim.questions import KINDS_OF_NOW
from videollm_ros.sim.world import COLOURS, KINDS, PLACES, SHAPES
from videollm_ros.training.config import ConfigError, SimulatorConfig
from videollm_ros.training.samples import Source

_ENCODED_AT_ONCE = 128


def simulated_sources(config: SimulatorConfig, model: LiveModel, seed: int) -> list[Source]:
    """One source per stream that the configuration wants, or one per window of it. They give frames.

    Raises:
        ConfigError: it wants none of them.
    """
    streams = [stream for stream in range(*config.seeds) if _is_wanted(stream, config)]
    if not streams:
        raise ConfigError(
            f"data.simulator: none of the streams {list(config.seeds)} has {config.same_colour_events} "
            "same_colour_events; take more seeds or fewer events"
        )
    return [source for stream in streams for source in _sources(config, model, stream, seed)]


def encoded(
    sources: Sequence[Source], model: LiveModel, device: torch.device | str = "cpu", progress: bool = True
) -> list[Source]:
    """The same sources, giving features: all of them are encoded now, on `device`."""
    home = model.vision.scale.device
    model.vision.to(device)
    try:
        bar = tqdm(_read_ahead(sources), "encoding", len(sources), unit="dialogue", disable=not progress)
        return [_encoded(source, frames, model.vision, device) for source, frames in bar]
    finally:
        model.vision.to(home)


def frames_of(tabletop: Tabletop, fps: float, resolution: int, start: int, stop: int) -> Tensor:
    """Frames [start, stop) of a stream, fitted to the vision tower: uint8 RGB [T, 3, R, R]."""
    frames = torch.from_numpy(tabletop.frames(fps, start, stop)).permute(0, 3, 1, 2)
    return letterbox(frames, resolution).contiguous()


def _is_wanted(stream: int, config: SimulatorConfig) -> bool:
    if not config.same_colour_events:
        return True
    tabletop = Tabletop(stream, config.seconds)
    same = 0
    for event in tabletop.events:
        others = [item for item in tabletop.state(event.onset).visible if item != event.item]
        same += any(item.colour == event.item.colour for item in others)
    return same >= config.same_colour_events


def _sources(config: SimulatorConfig, model: LiveModel, stream: int, seed: int) -> list[Source]:
    if config.windows:
        tabletop = _tabletop(config, stream, config.seconds)
        return [_window(config, model, tabletop, (seed, stream, number)) for number in range(config.windows)]
    return [_stream(config, model, stream, seed)]


def _stream(config: SimulatorConfig, model: LiveModel, stream: int, seed: int) -> Source:
    """A whole stream, or a longer one of which the last seconds are still in memory: what a bounded context holds
    after a while."""
    fps = model.config.frame_fps
    rng = random.Random(f"{seed}:memory:{stream}")
    shortened = config.memory is not None and rng.random() < 0.5
    tabletop = _tabletop(config, stream, config.seconds * rng.uniform(1, 2) if shortened else config.seconds)
    ask_more(tabletop, np.random.default_rng((seed, stream)), config.question_rate, config.question_kinds)
    remembered = round(rng.uniform(*config.memory) * fps) if shortened else tabletop.num_frames(fps)
    forgotten = max(tabletop.num_frames(fps) - remembered, 0)
    return _source(model, tabletop, record(tabletop, fps), forgotten)


def _window(config: SimulatorConfig, model: LiveModel, tabletop: Tabletop, seed: tuple[int, ...]) -> Source:
    """A short window of a stream: all that may be said of it is to be seen in it."""
    fps, rng = model.config.frame_fps, np.random.default_rng(seed)
    stop = frame_after(float(rng.choice(tabletop.quiet_seconds)), fps) + 1
    start = max(stop - max(1, round(rng.uniform(*config.window_seconds) * fps)), 0)
    for event in tabletop.events:
        # An event that is told in the window is seen there from its onset on.
        if event.onset < start / fps and start <= frame_after(event.time, fps) < stop:
            start = math.floor(event.onset * fps)
    tabletop.questions = []
    ask_more(tabletop, rng, config.question_rate, config.question_kinds or KINDS_OF_NOW)
    return _source(model, tabletop, record(tabletop, fps, start=start, stop=stop))


def _tabletop(config: SimulatorConfig, stream: int, seconds: float) -> Tabletop:
    return Tabletop(stream, seconds, config.resolutions[stream % len(config.resolutions)])


def _source(model: LiveModel, tabletop: Tabletop, line: dict, forgotten: int = 0) -> Source:
    """The line of a dataset as a source; of its frames the first ones are forgotten."""
    fps, resolution = model.config.frame_fps, model.config.frame_resolution
    start, stop = line["frames"]
    first = start + forgotten
    dialogue = Dialogue(line["video"], (start, stop), line["conversation"], f"simulator seed {tabletop.seed}")
    events, states = event_labels(tabletop, fps)[first:stop], state_labels(tabletop, fps, start, stop)[forgotten:]
    stream = (tabletop.seed, tabletop.seconds, tabletop.resolution)
    return Source(
        dialogue, lambda _: frames_of(_shown(*stream), fps, resolution, first, stop), forgotten, events, states
    )


@functools.lru_cache(maxsize=1)
def _shown(seed: int, seconds: float, resolution: int) -> Tabletop:
    """A stream to be rendered; what its camera has drawn is kept from one window to the next, and no longer."""
    return Tabletop(seed, seconds, resolution)


def ask_more(tabletop: Tabletop, rng: np.random.Generator, rate: float, kinds: Sequence[str] = ()) -> None:
    """Add questions, `rate` of them on average at every quiet second, answered in the form that the stream's own
    requests set."""
    own = list(tabletop.questions)
    asked = {(question.time, question.text): question for question in own}
    for time in tabletop.quiet_seconds:
        full = any(question.style == "full" and question.time <= time for question in own)
        for _ in range(rng.poisson(rate)):
            question = tabletop.ask(rng, time, full, kinds)
            asked.setdefault((time, question.text), question)
    tabletop.questions = sorted(asked.values(), key=lambda question: question.time)


def event_labels(tabletop: Tabletop, fps: float) -> Tensor:
    """Kind, colour and shape of the event that each frame decides, as class numbers [T, 3]; -100 for none."""
    labels = torch.full((tabletop.num_frames(fps), 3), IGNORED)
    for reply in replies(tabletop, fps):
        if reply.event is not None:
            labels[reply.frame] = torch.tensor(_event_classes(reply.event))
    return labels


def state_labels(tabletop: Tabletop, fps: float, start: int, stop: int) -> Tensor:
    """What each frame of [start, stop) should know [T, 7]: kind, colour and shape of the last event since `start`; the
    items at the three places and in the gripper (0: none). -100 before the first event, and for items while something
    moves."""
    rows = []
    for index in range(start, stop):
        time = index / fps
        past = [event for event in tabletop.events if start / fps <= event.time <= time]
        last = _event_classes(past[-1]) if past else (IGNORED,) * 3
        state = tabletop.state(time)
        standing = dict(state.table)
        items = [_item_class(item) for item in (*(standing.get(place) for place in PLACES), state.held)]
        if any(event.onset < time < event.time for event in tabletop.events):
            items = [IGNORED] * len(items)
        rows.append([*last, *items])
    return torch.tensor(rows)


def _event_classes(event: Event) -> tuple[int, int, int]:
    kind, colour, shape = event.meaning
    return KINDS.index(kind), list(COLOURS).index(colour), SHAPES.index(shape)


def _item_class(item: Item | None) -> int:
    return 0 if item is None else 1 + list(COLOURS).index(item.colour) * len(SHAPES) + SHAPES.index(item.shape)


def _read_ahead(sources: Sequence[Source]) -> Iterator[tuple[Source, Tensor]]:
    """Each source with its frames; the next ones are rendered meanwhile."""
    with ThreadPoolExecutor(1, "renderer") as renderer:
        ahead = renderer.submit(sources[0].read, sources[0].dialogue)
        for source, following in zip_longest(sources, sources[1:]):
            frames = ahead.result()
            if following is not None:
                ahead = renderer.submit(following.read, following.dialogue)
            yield source, frames


@torch.inference_mode()
def _encoded(source: Source, frames: Tensor, vision: VisionEncoder, device: torch.device | str) -> Source:
    chunks = frames.split(_ENCODED_AT_ONCE)
    features = torch.cat([vision(chunk.to(device)).half().cpu() for chunk in chunks])
    return replace(source, read=lambda _: features)
