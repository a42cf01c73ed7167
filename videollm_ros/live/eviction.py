# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The policy that decides what a full context forgets: old frames first, then old text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class SegmentKind(Enum):
    """What a run of cached tokens is. It decides how long the run stays."""

    SYSTEM = "system"
    INSTRUCTION = "instruction"
    FRAME = "frame"
    TEXT = "text"


@dataclass
class Segment:
    """A run of tokens that is kept or evicted as a whole: a prompt, one frame, or one query with its reply."""

    kind: SegmentKind
    length: int
    """Tokens."""
    stamp: float
    """When it was read, in seconds of the stream."""


@dataclass(frozen=True)
class ContextLimits:
    """How much a stream remembers.

    Raises:
        ValueError: A limit is out of its range.
    """

    max_tokens: int | None = None
    """Tokens that the cache has room for. None: as many as the model was trained on, at most 8192."""
    vision_seconds: float = 120.0
    """When the context is full, frames older than this many seconds are evicted first."""
    text_tokens: int | None = None
    """Queries and replies beyond this many tokens are evicted next, oldest first. None: a quarter of `max_tokens`."""

    def __post_init__(self) -> None:
        """Check the values."""
        if self.max_tokens is not None and self.max_tokens < 1:
            raise ValueError(f"context.max_tokens is a number of tokens, at least 1: {self.max_tokens}")
        if not self.vision_seconds >= 0 or (self.text_tokens is not None and self.text_tokens < 0):
            raise ValueError(
                f"context limits cannot be negative: vision_seconds {self.vision_seconds}, "
                f"text_tokens {self.text_tokens}"
            )


def choose_evictions(segments: Sequence[Segment], limits: ContextLimits, needed: int, now: float) -> set[int]:
    """Choose the segments to evict so that `needed` more tokens fit. Returns their indices; none while they fit.

    Prompts and instructions stay. First go frames older than `vision_seconds`, then text beyond `text_tokens`. If that
    is not enough, the oldest frames go, and at last the oldest text. The newest segment stays, since it may be growing.

    Args:
        segments: What the context holds, oldest first.
        limits: How much is remembered, with `max_tokens` given.
        needed: Tokens to make room for.
        now: Stamp of what is read next, in seconds.

    Raises:
        ValueError: The segments that must stay leave less room than needed, or `max_tokens` is not given.
    """
    size = limits.max_tokens
    if size is None:
        raise ValueError("choose_evictions needs limits with max_tokens, the size of the context")
    used = sum(segment.length for segment in segments)
    if used + needed <= size:
        return set()
    frames, texts = (_evictable(segments, kind) for kind in (SegmentKind.FRAME, SegmentKind.TEXT))
    evicted = {index for index in frames if segments[index].stamp < now - limits.vision_seconds}
    max_text_tokens = size // 4 if limits.text_tokens is None else limits.text_tokens
    evicted |= _text_beyond(segments, texts, max_text_tokens)
    used -= sum(segments[index].length for index in evicted)
    # Free an eighth of the context at once: an eviction moves every key that stays, so it must serve many frames.
    # Text is evicted only for what is needed now.
    for candidates, enough in ((frames, size - max(needed, size // 8)), (texts, size - needed)):
        for index in candidates:
            if used > enough and index not in evicted:
                evicted.add(index)
                used -= segments[index].length
    if used + needed > size:
        raise ValueError(f"{needed} tokens do not fit: context.max_tokens is {size}, of which {used} must stay")
    return evicted


def _evictable(segments: Sequence[Segment], kind: SegmentKind) -> list[int]:
    return [index for index, segment in enumerate(segments[:-1]) if segment.kind is kind]


def _text_beyond(segments: Sequence[Segment], texts: Sequence[int], max_text_tokens: int) -> set[int]:
    """Choose the oldest texts, so that what stays has at most `max_text_tokens`."""
    beyond, text_tokens = set(), 0
    for index in reversed(texts):
        text_tokens += segments[index].length
        if text_tokens > max_text_tokens:
            beyond.add(index)
    return beyond
