# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Decode the reply at the end of a conversation, by beam search where several are wanted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig

from videollm_ros.live import LiveModel
from videollm_ros.live.cache import trained_range
from videollm_ros.live.events import decode_reply


@torch.inference_mode()
def decode_replies(
    model: LiveModel, conversation: Sequence[dict[str, Any]], features: Tensor, max_new_tokens: int, beams: int = 1
) -> list[str]:
    """Let the model reply after the last frame of a conversation, whether it wants to or not.

    Args:
        model: the model.
        conversation: messages that end with frames.
        features: vision features of its frames [T, n, d_vision].
        max_new_tokens: tokens after which a reply is cut off.
        beams: how many replies, the likeliest first. One is decoded greedily.

    Raises:
        ValueError: the conversation is longer than the decoder was trained on, or the template rejects it.
    """
    template = model.template
    ids = template.encode(conversation)[0] + template.before_reply()
    limit = trained_range(model.llm.config.get_text_config(), model.config.max_positions)
    if len(ids) >= limit:
        raise ValueError(f"The conversation has {len(ids)} tokens, and the decoder was trained on {limit}.")
    input_ids = torch.tensor([ids], device=model.device)
    is_frame = input_ids == template.frame_token_id
    embeds = model.embed_ids(input_ids.masked_fill(is_frame, 0))
    embeds = embeds.masked_scatter(is_frame[..., None], model.project(features).to(embeds.dtype))
    make_config: Any = GenerationConfig
    config = make_config(
        max_new_tokens=min(max_new_tokens, limit - len(ids)),
        num_beams=beams,
        num_return_sequences=beams,
        do_sample=False,
        eos_token_id=template.eos_token_id,
        pad_token_id=template.eos_token_id,
    )
    mask = torch.ones(embeds.shape[:2], dtype=torch.long, device=model.device)
    generate: Any = model.llm.generate
    replies = generate(inputs_embeds=embeds, attention_mask=mask, generation_config=config)
    return [decode_reply(model.tokenizer, reply.tolist()) for reply in replies]
