# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One forward of the decoder over a stream's cache."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import PreTrainedModel

from videollm_ros.live.cache import ContextLimits, StreamCache
from videollm_ros.live.rotary import Rotary


class StreamDecoder:
    """Reads embeddings behind what a stream's cache holds. Any Hugging Face causal LM with RoPE will do."""

    def __init__(self, llm: PreTrainedModel, limits: ContextLimits) -> None:
        self._llm = llm
        dtype = llm.get_input_embeddings().weight.dtype
        self.cache = StreamCache(llm.config, limits, Rotary(llm), dtype)
        self._past = self.cache.for_transformers()

    @torch.inference_mode()
    def read(self, embeds: Tensor, at: Tensor | int = 1) -> Tensor:
        """Write the keys and values of `embeds` [L, d_model] behind the cache's length, which stays as it is.

        Args:
            at: indices [K] of the positions whose logits are wanted, or how many of the last.

        Returns:
            logits [K, vocab], float32.
        """
        start = self.cache.length
        position_ids = torch.arange(start, start + len(embeds), device=embeds.device)[None]
        output = self._llm(
            inputs_embeds=embeds[None],
            position_ids=position_ids,
            past_key_values=self._past,
            use_cache=True,
            logits_to_keep=at,
        )
        return output.logits[0].float()
