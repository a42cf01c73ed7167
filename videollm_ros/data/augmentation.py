# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Changes to dialogues that make a model rely on what it sees rather than on what was said."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from videollm_ros.live.template import IGNORED, DialogueTemplate

_CORRECTED_SHARE = 0.5


def corrupt_reply(conversation: Sequence[dict[str, Any]], rng: random.Random) -> list[dict[str, Any]]:
    """Drop a proactive reply, or replace it by another one of the conversation and sometimes correct it a frame later.

    What no longer follows from the context is not learned: the corrupted reply itself, the decision of its frame, and
    everything after a wrong reply that is not corrected. A conversation without a reply that can be corrupted is
    returned as it is.
    """
    messages = [dict(message) for message in conversation]
    choices = [
        index
        for index in range(1, len(messages) - 1)
        if [message["role"] for message in messages[index - 1 : index + 2]] == ["stream", "assistant", "stream"]
    ]
    if not choices:
        return messages
    chosen = rng.choice(choices)
    before, reply, after = messages[chosen - 1 : chosen + 2]
    _stop_learning_at_last_frame(before)
    others = sorted({m["content"] for m in messages if m["role"] == "assistant"} - {reply["content"]})
    if not others or rng.random() < 0.5:
        return messages[:chosen] + messages[chosen + 1 :]
    right = dict(reply)
    reply.update(content=rng.choice(others), learn=False)
    if after["num_frames"] > 1 and rng.random() < _CORRECTED_SHARE:
        first, rest = dict(after, num_frames=1), dict(after, num_frames=after["num_frames"] - 1)
        if not isinstance(after.get("learn", False), bool):
            first["learn"], rest["learn"] = after["learn"] >= 1, max(after["learn"] - 1, 0)
        return [*messages[: chosen + 1], first, right, rest, *messages[chosen + 2 :]]
    for message in messages[chosen + 1 :]:
        if message["role"] != "user":
            message["learn"] = False
    return messages


def _stop_learning_at_last_frame(stream: dict[str, Any]) -> None:
    learn = stream.get("learn", False)
    most = stream["num_frames"] - 1
    stream["learn"] = most if learn is True else min(int(learn), most)


def keep_silence(
    input_ids: Sequence[int], labels: Sequence[int], template: DialogueTemplate, ratio: float, rng: random.Random
) -> list[int]:
    """Return labels in which silence is learned on a random share of the silent frames only (ProAssist: 0.1)."""
    return [
        IGNORED
        if token_id == template.frame_token_id and label == template.silence_token_id and rng.random() >= ratio
        else label
        for token_id, label in zip(input_ids, labels, strict=True)
    ]


def forget_frames(
    input_ids: Sequence[int], labels: Sequence[int], template: DialogueTemplate, num_frames: int
) -> tuple[list[int], list[int]]:
    """Remove the first frames of a dialogue, as a bounded context does. The text stays and is not learned.

    A frame goes with the interval that follows it, as in `live.cache`.

    Returns:
        token ids and labels.
    """
    num_tokens = template.config.frame_num_tokens
    frame_positions = [position for position, token_id in enumerate(input_ids) if token_id == template.frame_token_id]
    forgotten = set(frame_positions[: num_frames * num_tokens])
    for last in frame_positions[num_tokens - 1 : num_frames * num_tokens : num_tokens]:
        if list(input_ids[last + 1 : last + 2]) == template.interval_ids:
            forgotten.add(last + 1)
    first_kept = frame_positions[num_frames * num_tokens] if num_frames * num_tokens < len(frame_positions) else None
    kept = [position for position in range(len(input_ids)) if position not in forgotten]
    return [input_ids[position] for position in kept], [
        labels[position] if first_kept is not None and position >= first_kept else IGNORED for position in kept
    ]
