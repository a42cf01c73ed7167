# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a stream holds now, for diagnostics."""

from __future__ import annotations

from dataclasses import dataclass

from videollm_ros.live.cache import StreamCache
from videollm_ros.live.eviction import SegmentKind


@dataclass(frozen=True)
class StreamState:
    """Counts what a session has read and what its context holds."""

    frames_read: int
    """Since the stream began."""
    frames_skipped: int
    """By the frame gate, since the stream began."""
    queries_waiting: int
    tokens: int
    """In the context, the sum of the four kinds below."""
    max_tokens: int
    system_tokens: int
    instruction_tokens: int
    frame_tokens: int
    text_tokens: int
    oldest_frame_stamp: float | None
    """Of the frames in the context, in seconds."""
    evictions: int
    """How often the context was compacted since the stream began."""
    evicted_tokens: int
    broken: bool
    """Whether a step has failed, so that the session refuses to go on until `reset()`."""


def describe_state(
    cache: StreamCache, frames_read: int, frames_skipped: int, queries_waiting: int, broken: bool
) -> StreamState:
    """Count what the cache holds, and put it beside the counts of the session."""
    return StreamState(
        frames_read=frames_read,
        frames_skipped=frames_skipped,
        queries_waiting=queries_waiting,
        tokens=cache.length,
        max_tokens=cache.max_tokens,
        system_tokens=cache.tokens_of(SegmentKind.SYSTEM),
        instruction_tokens=cache.tokens_of(SegmentKind.INSTRUCTION),
        frame_tokens=cache.tokens_of(SegmentKind.FRAME),
        text_tokens=cache.tokens_of(SegmentKind.TEXT),
        oldest_frame_stamp=cache.oldest_frame,
        evictions=cache.evictions,
        evicted_tokens=cache.evicted_tokens,
        broken=broken,
    )
