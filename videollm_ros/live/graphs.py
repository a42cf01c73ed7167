# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Capture the steps that recur, a frame and a word of a reply, as CUDA graphs: one launch instead of hundreds."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedModel

from videollm_ros.live.attention import CHUNK, SplitAttention, WholeAttention, additive_mask
from videollm_ros.live.cache import StreamCache
from videollm_ros.live.decoder import LlamaDecoder, StreamDecoder
from videollm_ros.live.eviction import ContextLimits
from videollm_ros.live.llama import FAMILY, LlamaLayers

KV_BUCKET = 1024
"""A graph attends to a fixed span of the cache: the smallest multiple of this that holds what is cached."""

_HIGH_PRIORITY = -1
"""Kernels of the decoder go before those of the encoder, which runs beside it on another stream."""

_logger = logging.getLogger(__name__)


def make_decoder(llm: PreTrainedModel, limits: ContextLimits, step_lengths: Iterable[int] = ()) -> StreamDecoder:
    """Make the fastest decoder that there is for a causal LM on its device.

    On CUDA this turns cuDNN's attention off for the whole process, because it makes a new plan for every length of the
    cache (pytorch#155958).

    Args:
        llm: the causal LM.
        limits: size of the cache.
        step_lengths: numbers of tokens that are read again and again, with the logits of the last one wanted.

    Raises:
        ValueError: see `StreamDecoder`.
    """
    if llm.config.model_type not in FAMILY:
        return StreamDecoder(llm, limits)
    if llm.device.type != "cuda":
        return LlamaDecoder(llm, limits)
    torch.backends.cuda.enable_cudnn_sdp(False)
    return GraphedDecoder(llm, limits, step_lengths)


class GraphedDecoder(LlamaDecoder):
    """A `LlamaDecoder` that replays captured steps, all captured at construction, and reads the rest step by step.

    A graph reads its whole bucket of the cache and masks what is not filled yet. What lies there must be finite,
    because zero times NaN is NaN: clear the memory after a value that is not.
    """

    def __init__(self, llm: PreTrainedModel, limits: ContextLimits, step_lengths: Iterable[int]) -> None:
        """Capture the steps and check them.

        Args:
            llm: a decoder of the Llama family on a CUDA device.
            limits: size of the cache.
            step_lengths: numbers of tokens that are read again and again, with the logits of the last one wanted.
        """
        super().__init__(llm, limits)
        embedding: Tensor = llm.get_input_embeddings().weight  # type: ignore[assignment]
        self._device = torch.cuda.device(llm.device)  # graphs belong to the device that is current
        with self._device:
            # One stream for all captures: libraries keep a workspace for every stream that they have seen.
            self._stream = torch.cuda.Stream(priority=_HIGH_PRIORITY)  # type: ignore[no-untyped-call]
            where = CaptureSite(torch.cuda.graph_pool_handle(), self._stream)
            steps = {n: GraphedStep(self._layers, self.cache, n, embedding, where) for n in sorted(step_lengths)}
            self._steps = {n: step for n, step in steps.items() if self._matches_eager(step, embedding[:n])}
        for length in steps.keys() - self._steps.keys():
            _logger.warning("a CUDA graph of %d tokens does not agree with its kernels; running without", length)
        self.cache.memory.zero_()

    @torch.inference_mode()
    def read(self, embeds: Tensor, at: Tensor | None = None) -> Tensor:
        """Read embeddings as `StreamDecoder.read` does, with a graph if there is one of this length."""
        step = self._steps.get(len(embeds)) if at is None else None
        if step is None:
            return super().read(embeds, at)
        with self._device:
            return self._replay(step, embeds, self.cache.length)

    def _replay(self, step: GraphedStep, embeds: Tensor, start: int) -> Tensor:
        """Replay on the stream of high priority, between what the caller's stream does before and after."""
        caller = torch.cuda.current_stream()
        self._stream.wait_stream(caller)
        with torch.cuda.stream(self._stream):
            logits = step.replay(embeds, start)
        caller.wait_stream(self._stream)
        return logits

    @torch.inference_mode()
    def _matches_eager(self, step: GraphedStep, embeds: Tensor) -> bool:
        """Compare graphs and kernels in every bucket over a cache of noise: logits, written keys and values."""
        memory = self.cache.memory
        tolerance = max(1e-3, 6.4 * torch.finfo(memory.dtype).eps)  # 5 % in bfloat16: two kernels round differently
        try:
            for start in step.check_starts():
                self.cache.length = start
                written = memory[..., start : start + len(embeds), :]
                _fill_with_noise(memory)
                expected = super().read(embeds).clone(), written[:, 0].clone(), written[:, 1].clone()
                sizes = _sizes_by_position(memory)
                _fill_with_noise(memory)
                found = self._replay(step, embeds, start), written[:, 0], written[:, 1]
                if not all(_is_close(one, other, tolerance) for one, other in zip(found, expected, strict=True)):
                    return False
                elsewhere = _sizes_by_position(memory) != sizes
                elsewhere[start : start + len(embeds)] = False
                if elsewhere.any():
                    return False
        finally:
            self.cache.length = 0
        return True


class CaptureSite(NamedTuple):
    """Where graphs are captured: the memory pool and the stream that all of them share."""

    pool: Any
    stream: torch.cuda.Stream


class GraphedStep:
    """M tokens read at any position: one graph per bucket of the cache."""

    def __init__(
        self, layers: LlamaLayers, cache: StreamCache, num_tokens: int, reference: Tensor, where: CaptureSite
    ) -> None:
        """Capture the graphs.

        Args:
            layers: the decoder's layers.
            cache: the cache that they read and write.
            num_tokens: M.
            reference: [.., d], a tensor with the device, the type and the width of the embeddings.
            where: memory pool and stream.
        """
        self._layers, self._cache = layers, cache
        self._embeds = reference.new_zeros(num_tokens, reference.shape[1])
        self._offsets = torch.arange(num_tokens, device=reference.device)
        self._start = torch.zeros((), dtype=torch.long, device=reference.device)
        buckets = {min(span, cache.max_tokens) for span in range(KV_BUCKET, cache.max_tokens + KV_BUCKET, KV_BUCKET)}
        # The largest first: the others fit into its memory.
        self._graphs = {span: capture(partial(self._step, span), where) for span in sorted(buckets, reverse=True)}

    @property
    def buckets(self) -> list[int]:
        """Return how much of the cache the captured graphs attend to."""
        return sorted(self._graphs)

    def check_starts(self) -> Iterator[int]:
        """Yield positions to try: the first, the last and one between in every bucket."""
        length, previous = len(self._embeds), 0
        for span in self.buckets:
            first, last = max(0, previous - length + 1), span - length
            yield from sorted({start for start in (first, (first + last) // 2, last) if 0 <= start <= last})
            previous = span

    @torch.inference_mode()
    def replay(self, embeds: Tensor, start: int) -> Tensor:
        """Read `embeds` [M, d] at positions from `start` on.

        Returns:
            logits [1, vocab] of the last token, float32, overwritten by the next replay.
        """
        self._embeds.copy_(embeds)
        self._start.fill_(start)
        graph, logits = self._graphs[min(-(-(start + len(embeds)) // KV_BUCKET) * KV_BUCKET, self._cache.max_tokens)]
        graph.replay()
        return logits

    def _step(self, span: int) -> Tensor:
        positions = self._start + self._offsets
        visible = self._layers.group_mask(torch.arange(span, device=positions.device) <= positions[:, None])
        dtype = self._cache.memory.dtype
        attend: Callable[[Tensor, Tensor, Tensor], Tensor]
        if span >= KV_BUCKET and span % CHUNK == 0:
            attend = SplitAttention(visible, dtype)
        else:
            attend = WholeAttention(additive_mask(visible, dtype))
        hidden = self._layers(self._embeds, positions, span, attend, self._cache)
        return self._layers.logits(hidden[-1:]).float()


@torch.inference_mode()
def capture(step: Callable[[], Tensor], where: CaptureSite) -> tuple[torch.cuda.CUDAGraph, Tensor]:
    """Capture `step`.

    Returns:
        the graph, and the tensor that every replay writes its result into.
    """
    stream = where.stream
    stream.wait_stream(torch.cuda.current_stream())
    # Run it a few times first, so that libraries do not choose their kernels while it is captured.
    with torch.cuda.stream(stream):
        for _ in range(2):
            step()
    graph = torch.cuda.CUDAGraph()
    # Other threads may use the GPU meanwhile.
    with torch.cuda.graph(graph, pool=where.pool, stream=stream, capture_error_mode="thread_local"):
        result = step()
    torch.cuda.current_stream().wait_stream(stream)
    return graph, result


def _fill_with_noise(memory: Tensor) -> None:
    """Fill a cache so that every position counts: keys that are nearly alike, and values that dominate the result."""
    generator = torch.Generator(memory.device).manual_seed(0)
    memory.normal_(generator=generator)
    memory[:, 0] *= 0.1
    memory[:, 1] *= 30.0


def _sizes_by_position(memory: Tensor) -> Tensor:
    """Sum up what a cache holds at each position, [max_tokens], without a copy of it."""
    sizes: Tensor = torch.linalg.vector_norm(memory, dim=(0, 1, 2, 3, 5), dtype=torch.float32)
    return sizes


def _is_close(one: Tensor, other: Tensor, tolerance: float) -> bool:
    """Return whether two tensors differ by at most a share of their size. A NaN is never close."""
    return bool((one.float() - other.float()).norm() <= tolerance * other.float().norm())
