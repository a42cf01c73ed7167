# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One forward of the decoder over a stream's cache: as lean as the hardware allows for the Llama family."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import PreTrainedModel

from videollm_ros.live.cache import ContextLimits, StreamCache
from videollm_ros.live.llama import LlamaLayers, additive
from videollm_ros.live.rotary import Rotary

_LONGEST_KEPT_MASK = 32
"""Steps up to this many tokens recur all the time; prompts and catching up do not."""


class StreamDecoder:
    """Reads embeddings behind what a stream's cache holds, with any Hugging Face causal LM that has RoPE."""

    def __init__(self, llm: PreTrainedModel, limits: ContextLimits) -> None:
        self._llm = llm
        dtype = llm.get_input_embeddings().weight.dtype
        self.cache = StreamCache(llm.config, limits, Rotary(llm), dtype)
        self._past = self.cache.for_transformers()

    @torch.inference_mode()
    def read(self, embeds: Tensor, at: Tensor | None = None) -> Tensor:
        """Write the keys and values of `embeds` [L, d_model] behind the cache's length, which stays as it is.

        Args:
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
        return output.logits[0].float()


class LlamaDecoder(StreamDecoder):
    """The same for the Llama family, without transformers between the kernels."""

    def __init__(self, llm: PreTrainedModel, limits: ContextLimits) -> None:
        super().__init__(llm, limits)
        self._layers = LlamaLayers(llm, self.cache.max_tokens)
        self._positions = torch.arange(self.cache.max_tokens, device=self.cache.keys.device)
        self._masks: dict[int, Tensor] = {}

    @torch.inference_mode()
    def read(self, embeds: Tensor, at: Tensor | None = None) -> Tensor:
        start, stop = self.cache.length, self.cache.length + len(embeds)
        positions = self._positions[start:stop]
        hidden = self._layers(embeds, positions, stop, self._mask(start, stop), self.cache)
        return self._layers.logits(hidden[-1:] if at is None else hidden[at]).float()

    def _mask(self, start: int, stop: int) -> Tensor | None:
        """Everything before `start`, and causal from there on: a view of a mask that is made once per length."""
        num_tokens = stop - start
        if num_tokens == 1:
            return None
        mask = self._masks.get(num_tokens)
        if mask is None:
            causal = self._positions[:num_tokens, None] >= self._positions[:num_tokens]
            before = causal.new_ones(num_tokens, self.cache.max_tokens - num_tokens)
            mask = torch.cat((before, causal), dim=1)
            mask = additive(self._layers.group_mask(mask), self.cache.keys.dtype)
            if num_tokens <= _LONGEST_KEPT_MASK:
                self._masks[num_tokens] = mask
        return mask[:, self.cache.max_tokens - stop :]
