# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Changes to dialogues that make a model rely on what it sees rather than on what was said."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from videollm_ros.live.eviction import ContextLimits, Segment, SegmentKind, choose_evictions
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
    """Evict the first frames of a dialogue as a session does. The text stays, and nothing of it is learned.

    Args:
        input_ids: [L], from `template.encode`.
        labels: [L], from `template.encode`.
        template: The template that encoded the dialogue.
        num_frames: How many frames to evict.

    Returns:
        Token ids and labels of what stays.
    """
    segments = context_segments(input_ids, template)
    size = sum(segment.length for segment in segments)
    total = sum(segment.kind is SegmentKind.FRAME for segment in segments)
    # The stamp of a frame is its number here. One token too many makes the policy evict what is too old, and no more.
    limits = ContextLimits(max_tokens=8 * size, vision_seconds=max(total - num_frames, 0), text_tokens=size)
    following = Segment(SegmentKind.TEXT, 0, total)
    evicted = choose_evictions([*segments, following], limits, needed=7 * size + 1, now=total) if num_frames else set()
    ids: list[int] = []
    kept_labels: list[int] = []
    position, frame_kept = 0, False
    for index, segment in enumerate(segments):
        stop = position + segment.length
        if index not in evicted:
            frame_kept = frame_kept or segment.kind is SegmentKind.FRAME
            ids += input_ids[position:stop]
            kept_labels += labels[position:stop] if frame_kept else [IGNORED] * segment.length
        position = stop
    return ids, kept_labels


def context_segments(input_ids: Sequence[int], template: DialogueTemplate) -> list[Segment]:
    """Return what a session's context would hold after a dialogue. The stamp of a segment is the number of its frame.

    Args:
        input_ids: [L], from `template.encode`.
        template: The template that encoded the dialogue.
    """
    segments: list[Segment] = []
    position = num_frames = 0
    while position < len(input_ids):
        start = position
        if input_ids[position] == template.frame_token_id:
            position += template.config.frame_num_tokens
            if list(input_ids[position : position + len(template.interval_ids)]) == template.interval_ids:
                position += len(template.interval_ids)
            segments.append(Segment(SegmentKind.FRAME, position - start, num_frames))
            num_frames += 1
        else:
            while position < len(input_ids) and input_ids[position] != template.frame_token_id:
                position += 1
            kind = SegmentKind.TEXT if segments else SegmentKind.SYSTEM
            segments.append(Segment(kind, position - start, num_frames))
    return segments
