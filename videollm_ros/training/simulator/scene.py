# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The vision tower's own task before any dialogue: which item stands in which place, what is held, what moves.

Each token also learns which part of the frame it shows: a decoder that finds an item has no other way to know where
the item is.

A tower from scratch learns to see far sooner from a few labels per frame than through the words of a decoder.
The heads are thrown away afterwards. Only the tower is kept.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import Dataset

from videollm_ros.data.simulated import SimulatorConfig
from videollm_ros.live.template import IGNORED
from videollm_ros.live.vision import VisionEncoder, letterbox
from videollm_ros.sim import Item, Tabletop
from videollm_ros.sim.world import COLOURS, PLACES, SHAPES
from videollm_ros.training.yaml_dataclass import ConfigError

FRAMES_PER_SAMPLE = 8
SAMPLES_PER_STREAM = 2
"""Few frames of one stream in a batch, so that a batch sees many backgrounds, lights and items."""
_COLOUR = {colour: index for index, colour in enumerate(COLOURS, start=1)}
_SHAPE = {shape: index for index, shape in enumerate(SHAPES, start=1)}
_CLASSES = 1 + len(COLOURS)  # 0 is "nothing there"
_BUSY_WEIGHT, _PART_WEIGHT = 0.3, 0.3


class SceneObjective(nn.Module):
    """A vision encoder with linear heads on its frame tokens."""

    def __init__(self, vision: VisionEncoder) -> None:
        """Make the heads.

        Raises:
            ConfigError: a frame whose tokens do not have one column per place.
        """
        super().__init__()
        rows, columns = vision.config.frame_token_pooled or (0, 0)
        if columns != len(PLACES):
            raise ConfigError(f"the scene task needs frame_token_pooled with {len(PLACES)} columns, one per place")
        self.vision = vision
        self.rows = rows
        # A column's lowest token shows what stands there; the uppermost ones together show what is held.
        self.standing = nn.Linear(vision.hidden_size, 2 * _CLASSES)
        self.held = nn.Linear(vision.hidden_size, 2 * _CLASSES)
        self.busy = nn.Linear(vision.hidden_size, 2)
        self.part = nn.Linear(vision.hidden_size, rows * columns)

    def forward(self, frames: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Return the loss of frames uint8 [T, 3, R, R] with labels [T, 9] as `scene_labels` makes them."""
        tokens = self.vision(frames)
        pooled = tokens[:, int(self.vision.config.frame_token_cls) :]
        grid = pooled.unflatten(1, (self.rows, len(PLACES)))
        upper = grid[:, 0].sum(1)
        items = torch.cat([self.standing(grid[:, -1]), self.held(upper)[:, None]], dim=1)  # [T, 4, 2 * classes]
        logits = items.unflatten(2, (2, _CLASSES)).flatten(0, 2).float()
        item_labels, busy_labels = labels[:, :-1].flatten(), labels[:, -1]
        seen = F.cross_entropy(logits, item_labels, ignore_index=IGNORED, reduction="sum")
        seen = seen / (item_labels != IGNORED).sum().clamp(min=1)
        parts = torch.arange(pooled.shape[1], device=pooled.device).expand(len(pooled), -1)
        located = F.cross_entropy(self.part(pooled).float().flatten(0, 1), parts.flatten())
        loss = seen + _BUSY_WEIGHT * F.cross_entropy(self.busy(upper).float(), busy_labels) + _PART_WEIGHT * located
        # The Trainer divides by the number of labels that are learned.
        loss_sum = loss * (labels != IGNORED).sum()
        return {"loss": loss, "loss_sum": loss_sum}


class SceneFrames(Dataset[tuple[Tensor, Tensor]]):
    """Sample i: frames of one stream at random times, half of them around events, and their labels."""

    def __init__(self, config: SimulatorConfig, resolution: int, seed: int) -> None:
        """Take the streams, the side of the tower's frame in pixels, and the seed of what is drawn."""
        self._config, self._resolution, self._seed = config, resolution, seed
        self._num_streams = config.seeds[1] - config.seeds[0]

    def __len__(self) -> int:
        """Return the number of samples."""
        return SAMPLES_PER_STREAM * self._num_streams

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Return frames uint8 [T, 3, R, R] and their labels [T, 9]."""
        stream = self._config.seeds[0] + index % self._num_streams
        rng = np.random.default_rng((self._seed, index))
        sides = self._config.resolutions
        tabletop = Tabletop(stream, self._config.seconds, sides[stream % len(sides)])
        times = rng.uniform(0, self._config.seconds, FRAMES_PER_SAMPLE)
        events = tabletop.events
        for position in range(FRAMES_PER_SAMPLE // 2 if events else 0):
            event = events[int(rng.integers(len(events)))]
            moving = position % 2
            span = (event.onset, event.time) if moving else (event.time, event.time + 0.5)
            times[position] = rng.uniform(*span)
        frames = torch.from_numpy(tabletop.frames_at(times)).permute(0, 3, 1, 2)
        return letterbox(frames, self._resolution), scene_labels(tabletop, times)


def scene_labels(tabletop: Tabletop, times: np.ndarray) -> Tensor:
    """Return labels [T, 9]: color and shape at each place and in the gripper (0: nothing), and whether something moves.

    While something moves, a single picture does not say what stood where: those labels are -100.
    """
    rows = []
    for time in times:
        if any(event.onset < time < event.time for event in tabletop.events):
            rows.append([IGNORED] * (2 * (len(PLACES) + 1)) + [1])
            continue
        state = tabletop.state(time)
        standing = dict(state.table)
        seen = [standing.get(place) for place in PLACES] + [state.held]
        rows.append([label for item in seen for label in _item_labels(item)] + [0])
    return torch.tensor(rows)


def collate_scenes(samples: list[tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    """Make a batch of the frames of several streams."""
    return {"frames": torch.cat([s[0] for s in samples]), "labels": torch.cat([s[1] for s in samples])}


def _item_labels(item: Item | None) -> tuple[int, int]:
    return (_COLOUR[item.colour], _SHAPE[item.shape]) if item else (0, 0)
