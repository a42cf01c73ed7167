# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Moving rotated keys to other positions, exactly as if they had been computed there (RoPE, arXiv 2104.09864)."""

from __future__ import annotations

import inspect

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel


class Rotary:
    """The rotary embedding of a decoder.

    Raises:
        ValueError: the decoder has no rotary embedding, several, one whose frequencies change with the length, or one
            that pairs dimensions in another way than halves.
    """

    def __init__(self, llm: PreTrainedModel) -> None:
        modules = [module for module in llm.modules() if isinstance(getattr(module, "inv_freq", None), Tensor)]
        name = type(llm).__name__
        if len(modules) != 1:
            raise ValueError(
                f"{name} has {len(modules)} rotary embeddings; a bounded context needs one that serves all layers"
            )
        rope_type = getattr(modules[0], "rope_type", "default")
        if rope_type in ("dynamic", "longrope"):
            raise ValueError(f"{name} has {rope_type} RoPE, whose kept keys cannot be moved to new positions")
        self.inv_freq: Tensor = modules[0].inv_freq.float()  # [rotary_dim / 2]
        if not self._turns_as(llm, modules[0]):
            raise ValueError(
                f"{name} does not rotate halves of its keys, so kept keys cannot be moved to new positions"
            )

    @property
    def device(self) -> torch.device:
        return self.inv_freq.device

    def between(self, old: Tensor, new: Tensor) -> tuple[Tensor, Tensor]:
        """Cosine and sine [L, rotary_dim / 2] that take keys from positions `old` [L] to positions `new` [L]."""
        # The decoder rounds its angles to float32; the difference of the rounded ones leaves no trace of the move.
        angles = [(positions.float()[:, None] * self.inv_freq).double() for positions in (old, new)]
        angle = angles[1] - angles[0]
        return angle.cos().float(), angle.sin().float()

    def rotate_(self, keys: Tensor, rotation: tuple[Tensor, Tensor]) -> None:
        """Rotate keys [..., L, head_dim] in place; dimensions beyond the rotary ones stay."""
        cos, sin = rotation
        halves = keys[..., : 2 * cos.shape[-1]].chunk(2, dim=-1)
        first, second = (half.float() for half in halves)
        for half, turned in zip(halves, (first * cos - second * sin, second * cos + first * sin), strict=True):
            half.copy_(turned)

    def _turns_as(self, llm: PreTrainedModel, embedding: nn.Module) -> bool:
        """Whether a key that is moved is the one that the decoder itself would have computed there."""
        apply = getattr(inspect.getmodule(type(llm)), "apply_rotary_pos_emb", None)
        if apply is None:
            return False
        old, new = positions = torch.tensor([[3], [10]], device=self.device)
        key = torch.linspace(-1, 1, 2 * len(self.inv_freq), device=self.device).expand(1, 1, 2, -1)
        _, turned = apply(key, key, *embedding(key, positions.T))
        moved = turned[..., :1, :].clone()
        self.rotate_(moved, self.between(old, new))
        return torch.allclose(moved, turned[..., 1:, :], atol=1e-4)
