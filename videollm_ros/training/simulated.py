# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The simulator's streams as training sources: dialogues with frames, or with features that are encoded once."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from tqdm import tqdm

from videollm_ros.data.dialogues import Dialogue
from videollm_ros.live import LiveModel
from videollm_ros.live.template import IGNORED
from videollm_ros.live.vision import letterbox
from videollm_ros.sim import Event, Item, Question, Tabletop, record
from videollm_ros.sim.dialogue import replies
from videollm_ros.sim.world import COLOURS, KINDS, PLACES, SHAPES
from videollm_ros.training.config import SimulatorConfig
from videollm_ros.training.samples import Source

_ENCODED_AT_ONCE = 128
_TRAINING_SEEDS = 9000  # evaluation takes the ones from here on
_QUESTION_STRIDE = 1777


def simulated_sources(
    config: SimulatorConfig, model: LiveModel, seed: int, *, encode: bool, progress: bool = True
) -> list[Source]:
    """One source per stream that the configuration wants.

    Args:
        encode: give features instead of frames; all streams are encoded now, on the model's device.
    """
    streams = [stream for stream in range(*config.seeds) if _is_wanted(stream, config)]
    sources = [_source(config, model, stream, seed) for stream in streams]
    if not encode:
        return sources
    bar = tqdm(sources, desc="encoding", unit="stream", disable=not progress)
    return [_encoded(source, model) for source in bar]


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


def _source(config: SimulatorConfig, model: LiveModel, stream: int, seed: int) -> Source:
    fps, resolution = model.config.frame_fps, model.config.frame_resolution
    rng = random.Random(f"{seed}:memory:{stream}")
    # A longer stream of which the last seconds are still in memory: what a bounded context holds after a while.
    shortened = config.memory is not None and rng.random() < 0.5
    seconds = config.seconds * rng.uniform(1, 2) if shortened else config.seconds
    tabletop = Tabletop(stream, seconds, config.resolutions[stream % len(config.resolutions)])
    if config.question_sets > 1:
        ask_more(tabletop, rng.randint(1, config.question_sets), config.question_kinds)
    line = record(tabletop, fps)
    start, stop = line["frames"]
    forgotten = max(stop - round(rng.uniform(*config.memory) * fps), 0) if shortened else 0
    dialogue = Dialogue(line["video"], (start, stop), line["conversation"], f"simulator seed {stream}")
    first = start + forgotten
    events, states = event_labels(tabletop, fps)[first:stop], state_labels(tabletop, fps)[first:stop]
    return Source(dialogue, lambda _: frames_of(tabletop, fps, resolution, first, stop), forgotten, events, states)


def ask_more(tabletop: Tabletop, num_sets: int, kinds: Sequence[str] = ()) -> None:
    """Add questions of other draws between the stream's own, where their form is that of the stream's style."""
    asked = {question.time: question for question in tabletop.questions}
    own = list(asked.values())
    for number in range(1, num_sets):
        drawn = tabletop.draw_questions((tabletop.seed + number * _QUESTION_STRIDE) % _TRAINING_SEEDS)
        for question in drawn:
            fits = _in_full(drawn, question.time) == _in_full(own, question.time)
            wanted = question.style is None and (not kinds or question.kind in kinds)
            if wanted and fits and question.time not in asked:
                asked[question.time] = question
    tabletop.questions = [asked[time] for time in sorted(asked)]


def _in_full(questions: list[Question], time: float) -> bool:
    """Whether answers at `time` [s] are full sentences: a request sets the style of what comes after it."""
    return any(question.style == "full" and question.time < time for question in questions)


def event_labels(tabletop: Tabletop, fps: float) -> Tensor:
    """Kind, colour and shape of the event that each frame decides, as class numbers [T, 3]; -100 for none."""
    labels = torch.full((tabletop.num_frames(fps), 3), IGNORED)
    for reply in replies(tabletop, fps):
        if reply.event is not None:
            labels[reply.frame] = torch.tensor(_event_classes(reply.event))
    return labels


def state_labels(tabletop: Tabletop, fps: float) -> Tensor:
    """What each frame should know [T, 7]: kind, colour and shape of the last event; the items at the three places and
    in the gripper (0: none). -100 before the first event, and for items while something moves."""
    rows = []
    for index in range(tabletop.num_frames(fps)):
        time = index / fps
        past = [event for event in tabletop.events if event.time <= time]
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


@torch.inference_mode()
def _encoded(source: Source, model: LiveModel) -> Source:
    chunks = source.read(source.dialogue).split(_ENCODED_AT_ONCE)
    features = torch.cat([model.encode(chunk).half().cpu() for chunk in chunks])
    return replace(source, read=lambda _: features)
