# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Read a whole prompt at once, and decode the reply to it, by beam search where several are wanted."""

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
    ids = model.template.encode(conversation)[0] + model.template.before_reply()
    replies = generate(model, prompt_embeds(model, ids, model.project(features)), max_new_tokens, beams)
    return [decode_reply(model.tokenizer, reply) for reply in replies]


def prompt_embeds(model: LiveModel, ids: Sequence[int], frames: Tensor) -> Tensor:
    """Return the decoder embeddings [1, L, d_model] of a prompt.

    Args:
        model: the model.
        ids: token ids [L], with the frame token where a frame stands.
        frames: decoder embeddings [T, n, d_model] of the frames.

    Raises:
        ValueError: the prompt is longer than the decoder was trained on.
    """
    limit = _limit(model)
    if len(ids) >= limit:
        raise ValueError(f"The prompt has {len(ids)} tokens, and the decoder was trained on {limit}.")
    input_ids = torch.tensor([list(ids)], device=model.device)
    is_frame = input_ids == model.template.frame_token_id
    embeds = model.embed_ids(input_ids.masked_fill(is_frame, 0))
    return embeds.masked_scatter(is_frame[..., None], frames.to(embeds.dtype))


def generate(model: LiveModel, embeds: Tensor, max_new_tokens: int, beams: int = 1) -> list[list[int]]:
    """Return the token ids of replies to a prompt [1, L, d_model], up to <eos>. The likeliest is the first."""
    eos = model.template.eos_token_id
    make_config: Any = GenerationConfig
    config = make_config(
        max_new_tokens=min(max_new_tokens, _limit(model) - embeds.shape[1]),
        num_beams=beams,
        num_return_sequences=beams,
        do_sample=False,
        eos_token_id=eos,
        pad_token_id=eos,
    )
    mask = torch.ones(embeds.shape[:2], dtype=torch.long, device=embeds.device)
    run: Any = model.llm.generate
    replies = run(inputs_embeds=embeds, attention_mask=mask, generation_config=config).tolist()
    return [reply[: reply.index(eos)] if eos in reply else reply for reply in replies]


def _limit(model: LiveModel) -> int:
    return trained_range(model.llm.config.get_text_config(), model.config.max_positions)
