# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Losses beside the words: what the simulator knows of a frame is learned on the frame, by heads that are thrown away.

The words alone teach a small decoder a shortcut: once it has said the color, it names the shape of any item of that
color. On the frame itself no color is given away. The words find there which item it was.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from videollm_ros.data.frame_labels import EVENT_CLASSES, NUM_ITEMS
from videollm_ros.live import LiveModel
from videollm_ros.live.template import IGNORED
from videollm_ros.sim.world import PLACES
from videollm_ros.training.yaml_dataclass import ConfigError

_PAST_WEIGHT, _ITEM_WEIGHT = 0.1, 0.2  # these labels are on every frame, not only where something is decided


class HiddenStateHook(nn.Module):
    """Keeps the last output of a layer of the decoder. Only what stands before the last layer can be attended to."""

    def __init__(self, live: LiveModel, layer: int) -> None:
        """Hook into a layer."""
        super().__init__()
        self._hidden: Tensor | None = None
        self._hook = live.llm.get_decoder().layers[layer].register_forward_hook(self._keep)

    def remove(self) -> None:
        """Take the hook out of the decoder."""
        self._hook.remove()

    def frames(self, is_frame: Tensor, num_tokens: int) -> Tensor:
        """Return the hidden states of all frames [T, n, d] of the batch with `is_frame` [B, L] that was read last."""
        hidden, self._hidden = self._hidden, None
        if hidden is None:
            raise RuntimeError("the decoder has read no batch since the last call")
        frames: Tensor = hidden[is_frame].unflatten(0, (-1, num_tokens))
        return frames

    def _keep(self, layer: nn.Module, given: tuple[object, ...], output: Tensor | tuple[Tensor, ...]) -> None:
        self._hidden = output[0] if isinstance(output, tuple) else output


def remove_hooks(objective: nn.Module) -> None:
    """Take the hooks of an objective's auxiliary losses out of its model."""
    for module in objective.modules():
        if isinstance(module, HiddenStateHook):
            module.remove()


class EventLoss(nn.Module):
    """What a frame decides (kind, color, shape), learned on its last token."""

    def __init__(self, live: LiveModel) -> None:
        """Make the heads and hook into the decoder."""
        super().__init__()
        self.heads = nn.ModuleList(nn.Linear(live.llm.config.hidden_size, classes) for classes in EVENT_CLASSES)
        self.num_tokens = live.config.frame_num_tokens
        self.hook = HiddenStateHook(live, -2)

    def forward(self, is_frame: Tensor, events: Tensor) -> Tensor:
        """Return the summed cross-entropy of `events` [T, 3] on the batch with `is_frame` [B, L] that was read last."""
        return _losses(self.heads, self.hook.frames(is_frame, self.num_tokens)[:, -1], events)


class StateLoss(nn.Module):
    """What happened last and what is held, learned on a frame's last token, and what stands where, on its lowest ones.

    An item's color and shape are one class.

    Raises:
        ConfigError: a frame whose tokens do not have one column per place.
    """

    def __init__(self, live: LiveModel) -> None:
        """Make the heads and hook into the decoder."""
        super().__init__()
        if (live.config.frame_token_pooled or (0, 0))[1] != len(PLACES):
            raise ConfigError(
                f"auxiliary_losses: state needs frame_token_pooled with {len(PLACES)} columns, one per place"
            )
        width = live.llm.config.hidden_size
        self.past = nn.ModuleList(nn.Linear(width, classes) for classes in EVENT_CLASSES)
        self.standing = nn.Linear(width, NUM_ITEMS)
        self.held = nn.Linear(width, NUM_ITEMS)
        self.num_tokens = live.config.frame_num_tokens
        self.early, self.late = (
            HiddenStateHook(live, (len(live.llm.get_decoder().layers) - 1) // 2),
            HiddenStateHook(live, -2),
        )

    def forward(self, is_frame: Tensor, states: Tensor) -> Tensor:
        """Return the weighted cross-entropy of `states` [T, 7], see `data.frame_labels.state_labels`."""
        early, late = (hook.frames(is_frame, self.num_tokens) for hook in (self.early, self.late))
        past = _losses(self.past, late[:, -1], states[:, :3])
        standing = _loss(self.standing(early[:, -len(PLACES) :]).flatten(0, 1), states[:, 3:6].flatten())
        held = _loss(self.held(late[:, -1]), states[:, 6])
        return _PAST_WEIGHT * past + _ITEM_WEIGHT * (standing + held)


def _losses(heads: nn.ModuleList, hidden: Tensor, labels: Tensor) -> Tensor:
    return torch.stack([_loss(head(hidden), labels[:, index]) for index, head in enumerate(heads)]).sum()


def _loss(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits.float(), labels, ignore_index=IGNORED, reduction="sum")
