# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run one forward of the decoder over a stream's cache: as lean as the hardware allows for the Llama family."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor
from transformers import PreTrainedModel

from videollm_ros.live.attention import WholeAttention, additive_mask
from videollm_ros.live.cache import StreamCache
from videollm_ros.live.eviction import ContextLimits
from videollm_ros.live.llama import LlamaLayers
from videollm_ros.live.rotary import Rotary

_LARGEST_KEPT_MASK = 512
"""Tokens of a pass whose mask is kept. A longer pass is a rare prompt, and its mask is large."""


class StreamDecoder:
    """Read embeddings behind what a stream's cache holds, with any Hugging Face causal LM that has RoPE."""

    def __init__(self, llm: PreTrainedModel, limits: ContextLimits) -> None:
        """Allocate the cache.

        Args:
            llm: the decoder.
            limits: size of the cache.

        Raises:
            ValueError: see `StreamCache` and `Rotary`.
        """
        self._llm = llm
        dtype = cast(Tensor, llm.get_input_embeddings().weight).dtype
        self.cache = StreamCache(llm.config, limits, Rotary(llm), dtype)
        self._past = self.cache.for_transformers()

    @torch.inference_mode()
    def read(self, embeds: Tensor, at: Tensor | None = None) -> Tensor:
        """Write the keys and values of embeddings behind the cache's length, which stays as it is.

        Args:
            embeds: [L, d_model].
            at: indices [K] of the positions whose logits are wanted; None for the last.

        Returns:
            logits [K, vocab], float32, valid until the next call.
        """
        start = self.cache.length
        output = self._llm(
            inputs_embeds=embeds[None],
            position_ids=torch.arange(start, start + len(embeds), device=embeds.device)[None],
            past_key_values=self._past,
            use_cache=True,
            logits_to_keep=1 if at is None else at,
        )
        logits: Tensor = output.logits
        return logits[0].float()


class LlamaDecoder(StreamDecoder):
    """Read as `StreamDecoder` does with the Llama family, without transformers between the kernels."""

    def __init__(self, llm: PreTrainedModel, limits: ContextLimits) -> None:
        """Allocate the cache and fuse weights that read the same input (see `LlamaLayers`)."""
        super().__init__(llm, limits)
        self._layers = LlamaLayers(llm, self.cache.max_tokens)
        self._positions = torch.arange(self.cache.max_tokens, device=self.cache.memory.device)
        self._causal = self._positions.new_empty(0)

    @torch.inference_mode()
    def read(self, embeds: Tensor, at: Tensor | None = None) -> Tensor:
        """Read embeddings as `StreamDecoder.read` does."""
        start, stop = self.cache.length, self.cache.length + len(embeds)
        positions = self._positions[start:stop]
        hidden = self._layers(embeds, positions, stop, WholeAttention(self._mask(start, stop)), self.cache)
        return self._layers.logits(hidden[-1:] if at is None else hidden[at]).float()

    def _mask(self, start: int, stop: int) -> Tensor | None:
        """Return the causal mask of rows `start` to `stop`, sliced from a cached one. None for a single token."""
        num_tokens, max_tokens = stop - start, self.cache.max_tokens
        if num_tokens == 1:
            return None
        causal = self._causal
        if len(causal) < num_tokens:
            row = torch.arange(max_tokens, max_tokens + num_tokens, device=self._positions.device)
            column = torch.arange(max_tokens + num_tokens, device=self._positions.device)
            causal = additive_mask(column <= row[:, None], self.cache.memory.dtype)
            if num_tokens <= _LARGEST_KEPT_MASK:
                self._causal = causal
        shift = max_tokens - start
        return self._layers.group_mask(causal[:num_tokens, shift : shift + stop])
