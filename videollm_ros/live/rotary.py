# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Moves rotated keys to other positions, as if they had been computed there (RoPE, arXiv 2104.09864)."""

from __future__ import annotations

import inspect

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel


class Rotary:
    """Holds the frequencies of a decoder's rotary embedding.

    A moved key is rounded to its data type at every move. In bfloat16 its relative error is 0.2 % after one move and
    up to 0.8 % after ten. Segments move towards the front a few times and then stay.

    Raises:
        ValueError: The decoder has no rotary embedding, or several, or one whose frequencies change with the length,
            or one that does not pair the first half of the dimensions with the second.
    """

    def __init__(self, llm: PreTrainedModel) -> None:
        """Find the rotary embedding of `llm` and check that keys can be moved."""
        modules = [module for module in llm.modules() if isinstance(getattr(module, "inv_freq", None), Tensor)]
        name = type(llm).__name__
        if len(modules) != 1:
            raise ValueError(
                f"{name} has {len(modules)} rotary embeddings; a bounded context needs one that serves all layers"
            )
        rope_type = getattr(modules[0], "rope_type", "default")
        if rope_type in ("dynamic", "longrope"):
            raise ValueError(f"{name} has {rope_type} RoPE, whose kept keys cannot be moved to new positions")
        self.inv_freq = modules[0].get_buffer("inv_freq").float()  # [rotary_dim / 2]
        if not self._matches_model(llm, modules[0]):
            raise ValueError(
                f"{name} does not rotate halves of its keys, so kept keys cannot be moved to new positions"
            )

    @property
    def device(self) -> torch.device:
        """Return the device of the decoder."""
        return self.inv_freq.device

    def delta_rotation(self, old: Tensor, new: Tensor) -> tuple[Tensor, Tensor]:
        """Return cosine and sine [L, rotary_dim / 2] that move keys from positions `old` [L] to positions `new` [L]."""
        # The decoder rounds its angles to float32. The difference of rounded angles gives exactly its own key.
        angles = [(positions.float()[:, None] * self.inv_freq).double() for positions in (old, new)]
        angle = angles[1] - angles[0]
        return angle.cos().float(), angle.sin().float()

    def rotate_(self, keys: Tensor, rotation: tuple[Tensor, Tensor]) -> None:
        """Rotate keys [..., L, head_dim] in place. Dimensions beyond the rotary ones stay as they are."""
        cos, sin = rotation
        halves = keys[..., : 2 * cos.shape[-1]].chunk(2, dim=-1)
        first, second = (half.float() for half in halves)
        for half, rotated in zip(halves, (first * cos - second * sin, second * cos + first * sin), strict=True):
            half.copy_(rotated)

    def _matches_model(self, llm: PreTrainedModel, embedding: nn.Module) -> bool:
        """Return whether a moved key equals the key that the decoder computes at the new position."""
        apply = getattr(inspect.getmodule(type(llm)), "apply_rotary_pos_emb", None)
        if apply is None:
            return False
        old, new = positions = torch.tensor([[3], [10]], device=self.device)
        key = torch.linspace(-1, 1, 2 * len(self.inv_freq), device=self.device).expand(1, 1, 2, -1)
        _, rotated = apply(key, key, *embedding(key, positions.T))
        moved = rotated[..., :1, :].clone()
        self.rotate_(moved, self.delta_rotation(old, new))
        return torch.allclose(moved, rotated[..., 1:, :], atol=1e-4)
