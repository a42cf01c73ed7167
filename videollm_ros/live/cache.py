# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The bounded KV cache of one stream: allocated once, evicted in blocks, with kept keys at contiguous positions."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace

import torch
from torch import Tensor
from transformers import Cache, PreTrainedConfig
from transformers.cache_utils import CacheLayerMixin

from videollm_ros.live.eviction import ContextLimits, Segment, SegmentKind, choose_evictions
from videollm_ros.live.rotary import Rotary

__all__ = ["DEFAULT_MAX_TOKENS", "ContextLimits", "StreamCache", "context_size", "trained_range"]

DEFAULT_MAX_TOKENS = 8192


def trained_range(config: PreTrainedConfig, max_positions: int | None = None) -> int:
    """Return how many positions the decoder may use.

    This is the range it was trained on, by its own configuration or by `max_positions` of the LIVE training, whichever
    is longer. A sliding attention window limits both.
    """
    longest = max(int(config.max_position_embeddings), max_positions or 0)
    window = getattr(config, "sliding_window", None)
    if window and getattr(config, "use_sliding_window", True):
        return min(longest, int(window))
    return longest


def context_size(limits: ContextLimits, config: PreTrainedConfig, max_positions: int | None = None) -> int:
    """Return how many tokens the cache of a stream has room for.

    Raises:
        ValueError: The limit lies beyond the range that the decoder was trained on.
    """
    longest = trained_range(config, max_positions)
    size = limits.max_tokens or min(longest, DEFAULT_MAX_TOKENS)
    if size > longest:
        raise ValueError(f"context.max_tokens {size} lies beyond the {longest} positions that the decoder knows")
    return size


class StreamCache:
    """Holds keys and values of one stream, and knows which run of tokens is what.

    `keys` and `values` are [layers, 1, kv_heads, max_tokens, head_dim], filled up to `length`, and views of `memory`
    [layers, 2, ...]. A key is stored rotated to its position, which is its index.
    """

    def __init__(self, config: PreTrainedConfig, limits: ContextLimits, rotary: Rotary, dtype: torch.dtype) -> None:
        """Allocate the memory.

        Args:
            config: Configuration of the decoder.
            limits: How much is remembered. `max_tokens` is used as it is; see `context_size` for its bounds.
            rotary: Moves the keys of this decoder.
            dtype: Data type of keys and values.
        """
        self.max_tokens = limits.max_tokens or context_size(limits, config)
        self.limits = replace(limits, max_tokens=self.max_tokens)
        self._rotary = rotary
        head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        kv_heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        shape = (config.num_hidden_layers, 2, 1, kv_heads, self.max_tokens, head_dim)
        self.memory = torch.zeros(shape, dtype=dtype, device=rotary.device)
        self.keys, self.values = self.memory.unbind(1)
        self.segments: list[Segment] = []
        self.length = 0
        self.evictions = 0
        self.evicted_tokens = 0

    def clear(self) -> None:
        """Forget the stream and erase the memory, which stays allocated."""
        # A CUDA graph multiplies what is masked by zero, so an old NaN would spoil the next stream.
        self.memory.zero_()
        self.segments.clear()
        self.length = 0
        self.evictions = 0
        self.evicted_tokens = 0

    def erase_behind(self, num_tokens: int) -> None:
        """Erase `num_tokens` that were written behind the length and not registered."""
        self.memory[..., self.length : self.length + num_tokens, :] = 0

    @property
    def room(self) -> int:
        """Return how many more tokens fit."""
        return self.max_tokens - self.length

    def tokens_of(self, kind: SegmentKind) -> int:
        """Return how many tokens of one kind the cache holds."""
        return sum(segment.length for segment in self.segments if segment.kind is kind)

    @property
    def oldest_frame(self) -> float | None:
        """Return the stamp of the oldest frame in the cache, in seconds, or None if there is none."""
        return next((segment.stamp for segment in self.segments if segment.kind is SegmentKind.FRAME), None)

    def append(self, kind: SegmentKind, length: int, stamp: float) -> None:
        """Register the last `length` tokens written as a new segment."""
        self.segments.append(Segment(kind, length, stamp))
        self.length += length

    def extend_last(self, length: int) -> None:
        """Register the last `length` tokens written as a part of the newest segment."""
        self.segments[-1].length += length
        self.length += length

    def truncate(self, num_segments: int, last_length: int) -> None:
        """Drop the newest segments, and cut the one before them to `last_length` tokens."""
        del self.segments[-num_segments:]
        self.segments[-1].length = last_length
        self.length = sum(segment.length for segment in self.segments)

    def make_room(self, needed: int, now: float) -> None:
        """Evict what `choose_evictions` chooses, so that `needed` more tokens fit.

        Raises:
            ValueError: The segments that must stay leave less room than that. Nothing was evicted.
        """
        evicted = choose_evictions(self.segments, self.limits, needed, now)
        if evicted:
            self.evict(evicted)

    def evict(self, evicted: Set[int]) -> None:
        """Evict the segments with these indices, move the others together and rotate their keys to the new positions.

        An error in the middle leaves layers that do not fit each other: call `clear`.
        """
        kept = [index for index in range(len(self.segments)) if index not in evicted]
        starts = [0]
        for segment in self.segments:
            starts.append(starts[-1] + segment.length)
        old = torch.cat([torch.arange(starts[index], starts[index + 1]) for index in kept])
        first_moved = int((old == torch.arange(len(old))).sum())
        old = old[first_moved:].to(self.keys.device)
        length = first_moved + len(old)
        rotation = self._rotary.delta_rotation(old, torch.arange(first_moved, length, device=old.device))
        for memory in self.memory:  # one layer at a time, so that the copy is small
            moved = memory.index_select(-2, old)
            self._rotary.rotate_(moved[0], rotation)
            memory[..., first_moved:length, :] = moved
        self.segments = [self.segments[index] for index in kept]
        self.evictions += 1
        self.evicted_tokens += self.length - length
        self.length = length

    def for_transformers(self) -> Cache:
        """Return the same memory as a transformers cache, for `PreTrainedModel.forward`."""
        return Cache(layers=[_Layer(self, index) for index in range(len(self.keys))])


class _Layer(CacheLayerMixin):  # type: ignore[no-untyped-call]
    """Shows one layer of a `StreamCache` to transformers. It writes behind `length`, which `append` moves on."""

    def __init__(self, cache: StreamCache, index: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.keys, self.values = self._memory = cache.keys[index], cache.values[index]
        self.is_initialized = True
        self._cache = cache

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Do nothing: the memory is allocated already."""

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: object, **kwargs: object
    ) -> tuple[Tensor, Tensor]:
        """Write new keys and values [1, kv_heads, L, head_dim]. Returns all of them, the new ones included."""
        start, stop = self._cache.length, self._cache.length + key_states.shape[-2]
        keys, values = self._memory
        keys[..., start:stop, :] = key_states
        values[..., start:stop, :] = value_states
        return keys[..., :stop, :], values[..., :stop, :]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Return the length of the attended keys and the position of the first."""
        return self._cache.length + query_length, 0

    def get_seq_length(self) -> int:
        """Return how many tokens the cache holds."""
        return self._cache.length

    def get_max_length(self) -> int:
        """Return how many tokens the cache has room for."""
        return self._cache.max_tokens
