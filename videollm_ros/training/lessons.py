# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Lessons beside the words: what the simulator knows of a frame, learned on the frame by heads that are thrown away.

The words alone teach a small decoder a shortcut: with the colour said, it names the shape of any item of that colour.
On the frame itself no colour is given away, and the words find there which item it was.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from videollm_ros.live import LiveModel
from videollm_ros.live.template import IGNORED
from videollm_ros.sim.world import COLOURS, KINDS, PLACES, SHAPES
from videollm_ros.training.config import ConfigError

EVENT_CLASSES = (len(KINDS), len(COLOURS), len(SHAPES))
NUM_ITEMS = 1 + len(COLOURS) * len(SHAPES)  # 0 is no item
_PAST_WEIGHT, _ITEM_WEIGHT = 0.1, 0.2  # there is a label on every frame, not only where something is decided


class _Tap(nn.Module):
    """Keeps what a layer of the decoder put out last. Only what stands before the last layer can be attended to."""

    def __init__(self, live: LiveModel, layer: int) -> None:
        super().__init__()
        self._hidden: Tensor | None = None
        self._hook = live.llm.get_decoder().layers[layer].register_forward_hook(self._keep)

    def remove(self) -> None:
        """Leave the decoder alone again."""
        self._hook.remove()

    def _keep(self, layer: nn.Module, given: tuple, output: Tensor | tuple) -> None:
        self._hidden = output[0] if isinstance(output, tuple) else output

    def frames(self, is_frame: Tensor, num_tokens: int) -> Tensor:
        """Hidden states of all frames [T, n, d] of the batch with `is_frame` [B, L] that was read last."""
        hidden, self._hidden = self._hidden, None
        return hidden[is_frame].unflatten(0, (-1, num_tokens))


def forget_lessons(objective: nn.Module) -> None:
    """Leave nothing of an objective's lessons in its model."""
    for module in objective.modules():
        if isinstance(module, _Tap):
            module.remove()


class EventLesson(nn.Module):
    """What a frame decides (kind, colour, shape), on its last token."""

    def __init__(self, live: LiveModel) -> None:
        super().__init__()
        self.heads = nn.ModuleList(nn.Linear(live.llm.config.hidden_size, classes) for classes in EVENT_CLASSES)
        self.num_tokens = live.config.frame_num_tokens
        self.tap = _Tap(live, -2)

    def forward(self, is_frame: Tensor, events: Tensor) -> Tensor:
        """Sum of the cross-entropies of `events` [T, 3], after the decoder has read a batch with `is_frame` [B, L]."""
        return _losses(self.heads, self.tap.frames(is_frame, self.num_tokens)[:, -1], events)


class StateLesson(nn.Module):
    """What happened last, on a frame's last token; which item stands where, on its lowest tokens, colour and shape
    as one; which is held, on the last."""

    def __init__(self, live: LiveModel) -> None:
        super().__init__()
        if (live.config.frame_token_pooled or (0, 0))[1] != len(PLACES):
            raise ConfigError(f"state_lesson needs frame_token_pooled with {len(PLACES)} columns, one per place")
        width = live.llm.config.hidden_size
        self.past = nn.ModuleList(nn.Linear(width, classes) for classes in EVENT_CLASSES)
        self.standing = nn.Linear(width, NUM_ITEMS)
        self.held = nn.Linear(width, NUM_ITEMS)
        self.num_tokens = live.config.frame_num_tokens
        self.early, self.late = _Tap(live, (len(live.llm.get_decoder().layers) - 1) // 2), _Tap(live, -2)

    def forward(self, is_frame: Tensor, states: Tensor) -> Tensor:
        """Weighted sum of the cross-entropies of `states` [T, 7], see `simulated.state_labels`."""
        early, late = (tap.frames(is_frame, self.num_tokens) for tap in (self.early, self.late))
        past = _losses(self.past, late[:, -1], states[:, :3])
        standing = _loss(self.standing(early[:, -len(PLACES) :]).flatten(0, 1), states[:, 3:6].flatten())
        held = _loss(self.held(late[:, -1]), states[:, 6])
        return _PAST_WEIGHT * past + _ITEM_WEIGHT * (standing + held)


def _losses(heads: nn.ModuleList, hidden: Tensor, labels: Tensor) -> Tensor:
    return torch.stack([_loss(head(hidden), labels[:, index]) for index, head in enumerate(heads)]).sum()


def _loss(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits.float(), labels, ignore_index=IGNORED, reduction="sum")
