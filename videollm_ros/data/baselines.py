# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The paper's two baselines, the interleaved and the per-frame dialogue, as conversations and labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from videollm_ros.live.template import IGNORED, DialogueTemplate

NOTHING_NEW = "..."
"""The reply to a frame on which there is nothing to say, in the per-frame dialogue."""


def per_frame_dialogue(conversation: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Make every frame a turn with a reply: `NOTHING_NEW` where the streaming dialogue is silent."""
    messages: list[dict[str, Any]] = []
    for number, message in enumerate(conversation):
        if message["role"] != "stream":
            messages.append(dict(message))
            continue
        following = conversation[number + 1]["role"] if number + 1 < len(conversation) else None
        num_frames, learn = message["num_frames"], message.get("learn", False)
        num_learned = num_frames * learn if isinstance(learn, bool) else learn
        for index in range(num_frames):
            messages.append({"role": "stream", "num_frames": 1, "learn": index < num_learned})
            if index + 1 < num_frames or following is None:
                messages.append({"role": "assistant", "content": NOTHING_NEW, "learn": index < num_learned})
    return messages


def interleaved_labels(input_ids: Sequence[int], labels: Sequence[int], template: DialogueTemplate) -> list[int]:
    """Return the labels of the interleaved dialogue: replies are learned where they stand, silence is not."""
    return [
        IGNORED if token_id == template.frame_token_id and label == template.silence_token_id else label
        for token_id, label in zip(input_ids, labels, strict=True)
    ]
