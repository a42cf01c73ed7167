# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The bounded KV cache of one stream: preallocated, evicted in blocks, kept keys rotated to contiguous positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import torch
from torch import Tensor
from transformers import Cache, PreTrainedConfig
from transformers.cache_utils import CacheLayerMixin

from videollm_ros.live.rotary import Rotary

DEFAULT_MAX_TOKENS = 8192


class Kind(Enum):
    """What a run of cached tokens is, which decides how long it stays."""

    SYSTEM = "system"
    FRAME = "frame"
    TEXT = "text"


@dataclass
class Segment:
    """A run of tokens that stays or goes as a whole: the system prompt, one frame, one query with its reply."""

    kind: Kind
    length: int
    stamp: float


@dataclass(frozen=True)
class ContextLimits:
    """How much a stream remembers.

    Raises:
        ValueError: a limit is out of its range.
    """

    max_tokens: int | None = None
    """Tokens allocated; None: the decoder's trained range, at most 8192."""
    vision_seconds: float = 120.0
    """Frames older than this go first when the cache is full."""
    text_tokens: int | None = None
    """Queries and replies beyond this many tokens go next, oldest first; None: a quarter of `max_tokens`."""

    def __post_init__(self) -> None:
        if self.max_tokens is not None and self.max_tokens < 1:
            raise ValueError(f"context.max_tokens is a number of tokens, at least 1: {self.max_tokens}")
        if self.vision_seconds < 0 or (self.text_tokens is not None and self.text_tokens < 0):
            raise ValueError(
                f"context limits cannot be negative: vision_seconds {self.vision_seconds}, "
                f"text_tokens {self.text_tokens}"
            )


def trained_range(config: PreTrainedConfig) -> int:
    """Positions that the decoder may use: its trained range, and its attention window where it has one."""
    limits = [config.max_position_embeddings]
    if getattr(config, "use_sliding_window", True) and getattr(config, "sliding_window", None):
        limits.append(config.sliding_window)
    return min(limits)


class StreamCache:
    """Keys and values of one stream, and what each run of tokens is.

    `keys` and `values` are [layers, 1, kv_heads, max_tokens, head_dim], filled up to `length`, and views of `memory`
    [layers, 2, ...]. Keys are stored rotated to their position, which is their index.

    Raises:
        ValueError: `max_tokens` lies beyond the decoder's trained range.
    """

    def __init__(self, config: PreTrainedConfig, limits: ContextLimits, rotary: Rotary, dtype: torch.dtype) -> None:
        longest = trained_range(config)
        self.max_tokens = limits.max_tokens or min(longest, DEFAULT_MAX_TOKENS)
        if self.max_tokens > longest:
            raise ValueError(
                f"context.max_tokens {self.max_tokens} lies beyond the {longest} positions that the decoder knows"
            )
        self.limits = limits
        self.max_text_tokens = self.max_tokens // 4 if limits.text_tokens is None else limits.text_tokens
        self._rotary = rotary
        head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        kv_heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        shape = (config.num_hidden_layers, 2, 1, kv_heads, self.max_tokens, head_dim)
        self.memory = torch.zeros(shape, dtype=dtype, device=rotary.device)
        self.keys, self.values = self.memory.unbind(1)
        self.segments: list[Segment] = []
        self.clear()

    def clear(self) -> None:
        """Forget the stream; the memory stays allocated."""
        self.segments.clear()
        self.length = 0
        self.evictions = 0
        self.evicted_tokens = 0

    @property
    def room(self) -> int:
        """Tokens that still fit."""
        return self.max_tokens - self.length

    def tokens_of(self, kind: Kind) -> int:
        return sum(segment.length for segment in self.segments if segment.kind is kind)

    @property
    def oldest_frame(self) -> float | None:
        """Stamp of the oldest frame that is still remembered, in seconds."""
        return next((segment.stamp for segment in self.segments if segment.kind is Kind.FRAME), None)

    def append(self, kind: Kind, length: int, stamp: float) -> None:
        """Say that the last `length` tokens written are a new segment."""
        self.segments.append(Segment(kind, length, stamp))
        self.length += length

    def extend(self, length: int) -> None:
        """Say that the last `length` tokens written belong to the newest segment."""
        self.segments[-1].length += length
        self.length += length

    def drop_last(self, num_segments: int, last_length: int) -> None:
        """Drop the newest segments and cut the one before them to `last_length` tokens."""
        del self.segments[-num_segments:]
        self.segments[-1].length = last_length
        self.length = sum(segment.length for segment in self.segments)

    def make_room(self, needed: int, now: float) -> None:
        """Evict until `needed` more tokens fit. Does nothing while they do, so that it happens rarely.

        The system prompt stays. Frames older than `vision_seconds` go, then text beyond `text_tokens`; should that
        not do, the oldest frames, and the oldest text at last. The newest segment stays: it may be in the making.

        Raises:
            ValueError: not even an almost empty cache has that much room.
        """
        if needed <= self.room:
            return
        doomed = self._choose(needed, now)
        kept = [index for index in range(len(self.segments)) if index not in doomed]
        remaining = sum(self.segments[index].length for index in kept)
        if remaining + needed > self.max_tokens:
            raise ValueError(
                f"{needed} tokens do not fit: context.max_tokens is {self.max_tokens}, of which {remaining} must stay"
            )
        self._compact(kept)

    def _choose(self, needed: int, now: float) -> set[int]:
        candidates = range(len(self.segments) - 1)
        frames = [index for index in candidates if self.segments[index].kind is Kind.FRAME]
        texts = [index for index in candidates if self.segments[index].kind is Kind.TEXT]
        doomed = {index for index in frames if self.segments[index].stamp < now - self.limits.vision_seconds}
        text_tokens = 0
        for index in reversed(texts):
            text_tokens += self.segments[index].length
            if text_tokens > self.max_text_tokens:
                doomed.add(index)
        # An eighth of the context at once: compacting moves every kept key, so it must pay for many frames.
        target = self.max_tokens - max(needed, self.max_tokens // 8)
        used = self.length - sum(self.segments[index].length for index in doomed)
        for index in [*frames, *texts]:
            # Text is given up for what is needed now, not to have a block in reserve.
            enough = target if self.segments[index].kind is Kind.FRAME else self.max_tokens - needed
            if used > enough and index not in doomed:
                doomed.add(index)
                used -= self.segments[index].length
        return doomed

    def _compact(self, kept: Sequence[int]) -> None:
        starts = [0]
        for segment in self.segments:
            starts.append(starts[-1] + segment.length)
        old = torch.cat([torch.arange(starts[index], starts[index + 1]) for index in kept])
        first_moved = int((old == torch.arange(len(old))).sum())
        old = old[first_moved:].to(self.keys.device)
        length = first_moved + len(old)
        rotation = self._rotary.between(old, torch.arange(first_moved, length, device=old.device))
        for memory in self.memory:  # by layer, to copy little at a time
            moved = memory.index_select(-2, old)
            self._rotary.rotate_(moved[0], rotation)
            memory[..., first_moved:length, :] = moved
        self.segments = [self.segments[index] for index in kept]
        self.evictions += 1
        self.evicted_tokens += self.length - length
        self.length = length

    def for_transformers(self) -> Cache:
        """The same memory as a transformers cache, for `PreTrainedModel.forward`."""
        return Cache(layers=[_Layer(self, index) for index in range(len(self.keys))])


class _Layer(CacheLayerMixin):
    """One layer of a `StreamCache` as transformers sees it: writes behind `length`, which `append` moves on."""

    def __init__(self, cache: StreamCache, index: int) -> None:
        super().__init__()
        self.keys, self.values = cache.keys[index], cache.values[index]
        self.is_initialized = True
        self._cache = cache

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Nothing to do: the memory is there."""

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: object, **kwargs: object
    ) -> tuple[Tensor, Tensor]:
        start, stop = self._cache.length, self._cache.length + key_states.shape[-2]
        self.keys[..., start:stop, :] = key_states
        self.values[..., start:stop, :] = value_states
        return self.keys[..., :stop, :], self.values[..., :stop, :]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self._cache.length + query_length, 0

    def get_seq_length(self) -> int:
        return self._cache.length

    def get_max_length(self) -> int:
        return self._cache.max_tokens
