# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Attend to a stream's cache: to all of it in one kernel, or to chunks of it side by side.

Shape letters: R rows of queries that share a kv head, G kv heads, S span of the cache, D head size, C chunks.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK = 512
"""Keys of a chunk. A kernel then has S / CHUNK times as many thread blocks, where G alone would leave a GPU idle."""


def additive_mask(mask: Tensor, dtype: torch.dtype, masked: float = -torch.inf) -> Tensor:
    """Convert a boolean mask to one that is added to the scores: 0 where it is true, `masked` elsewhere."""
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(~mask, masked)


@dataclass(frozen=True)
class WholeAttention:
    """Attend to the whole span in one kernel."""

    mask: Tensor | None
    """[R, S], added to the scores. None if every query attends to the whole span."""

    def __call__(self, query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Return what queries [1, G, R, D] attend to among keys and values [1, G, S, D], as [1, G, R, D]."""
        return F.scaled_dot_product_attention(query, keys, values, attn_mask=self.mask)


class SplitAttention:
    """Attend to chunks of the span as a batch, and combine them by their log-sum-exp (Flash-Decoding, 2023).

    What a chunk without any visible key holds cannot come through, not even a NaN.
    """

    def __init__(self, visible: Tensor, dtype: torch.dtype) -> None:
        """Prepare the mask, once for all layers.

        Args:
            visible: [R, S], true where a query attends to a key. S is a multiple of `CHUNK`.
            dtype: type of the queries.
        """
        self._chunks = visible.unflatten(1, (-1, CHUNK)).transpose(0, 1)  # [C, R, CHUNK]
        # A finite value, so that a chunk without visible keys has a finite result as well.
        self._mask = additive_mask(visible, dtype, torch.finfo(dtype).min / 2)
        self._mask = self._mask.unflatten(1, (-1, CHUNK)).transpose(0, 1)[:, None]  # [C, 1, R, CHUNK]
        self._any_visible = self._chunks.any(-1)[:, None]  # [C, 1, R]

    def __call__(self, query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Return what queries [1, G, R, D] attend to among keys and values [1, G, S, D], as [1, G, R, D]."""
        keys, values = (tensor[0].unflatten(1, (-1, CHUNK)).transpose(0, 1) for tensor in (keys, values))
        num_chunks, num_kv_heads = keys.shape[:2]
        mask = self._mask.expand(-1, num_kv_heads, -1, -1)
        attended, log_sums = _attend_with_log_sums(query.expand(num_chunks, -1, -1, -1), keys, values, mask)
        weights = log_sums.masked_fill(~self._any_visible, -torch.inf).softmax(0)[..., None]  # [C, G, R, 1]
        parts = torch.where(self._any_visible[..., None], attended * weights, 0)
        return parts.sum(0, keepdim=True).to(query.dtype)


def _attend_with_log_sums(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return [C, G, R, D] and the log-sum-exp of the scores [C, G, R]. The public function keeps the latter back."""
    if query.device.type == "cpu":
        attended, log_sums = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            query, keys, values, attn_mask=mask
        )
    else:
        attended, log_sums, *_ = torch.ops.aten._scaled_dot_product_efficient_attention(
            query, keys, values, mask, compute_log_sumexp=True
        )
    return attended, log_sums[..., : query.shape[2]]  # the kernel pads the rows
