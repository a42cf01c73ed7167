# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the simulator knows of each frame, as class numbers for auxiliary losses."""

from __future__ import annotations

import torch
from torch import Tensor

from videollm_ros.live.template import IGNORED
from videollm_ros.sim import Event, Item, Tabletop
from videollm_ros.sim.dialogue import replies
from videollm_ros.sim.world import COLOURS, KINDS, PLACES, SHAPES

NUM_ITEMS = 1 + len(COLOURS) * len(SHAPES)
"""Classes of an item. 0 is no item."""
EVENT_CLASSES = (len(KINDS), len(COLOURS), len(SHAPES))
"""Classes of an event's kind, color and shape."""


def event_labels(tabletop: Tabletop, fps: float) -> Tensor:
    """Return the kind, color and shape of the event that each frame decides [T, 3]; -100 for none."""
    labels = torch.full((tabletop.num_frames(fps), 3), IGNORED)
    for reply in replies(tabletop, fps):
        if reply.event is not None:
            labels[reply.frame] = torch.tensor(_event_classes(reply.event))
    return labels


def state_labels(tabletop: Tabletop, fps: float, start: int, stop: int) -> Tensor:
    """Return what each frame of [start, stop) should know [T, 7].

    The columns are kind, color and shape of the last event since `start`, and the items at the three places and in
    the gripper (0: none). -100 stands before the first event, and for all items while something moves.
    """
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
    kind, color, shape = event.meaning
    return KINDS.index(kind), list(COLOURS).index(color), SHAPES.index(shape)


def _item_class(item: Item | None) -> int:
    return 0 if item is None else 1 + list(COLOURS).index(item.colour) * len(SHAPES) + SHAPES.index(item.shape)
