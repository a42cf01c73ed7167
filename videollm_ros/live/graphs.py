# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""CUDA graphs for the steps that recur: a frame, and a word of a reply. One launch instead of hundreds."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import partial

import torch
from torch import Tensor
from transformers import PreTrainedModel

from videollm_ros.live.cache import ContextLimits, StreamCache
from videollm_ros.live.decoder import LlamaDecoder, StreamDecoder
from videollm_ros.live.llama import FAMILY, LlamaLayers, additive

SPAN = 1024
"""A graph attends to a fixed span of the cache: the smallest multiple of this that holds what is cached."""

_logger = logging.getLogger(__name__)


def make_decoder(llm: PreTrainedModel, limits: ContextLimits, step_lengths: Iterable[int] = ()) -> StreamDecoder:
    """The fastest decoder there is for this causal LM on its device.

    Args:
        step_lengths: numbers of tokens that are read again and again, with the logits of the last one wanted.
    """
    if llm.config.model_type not in FAMILY:
        return StreamDecoder(llm, limits)
    if llm.device.type != "cuda":
        return LlamaDecoder(llm, limits)
    # In this process: cuDNN's attention makes a new plan for every length of the cache (pytorch#155958).
    torch.backends.cuda.enable_cudnn_sdp(False)
    return GraphedDecoder(llm, limits, step_lengths)


class GraphedDecoder(LlamaDecoder):
    """A `LlamaDecoder` that replays recorded steps, all recorded at construction, and reads the rest step by step."""

    def __init__(self, llm: PreTrainedModel, limits: ContextLimits, step_lengths: Iterable[int]) -> None:
        super().__init__(llm, limits)
        embedding = llm.get_input_embeddings().weight
        self._device = torch.cuda.device(llm.device)  # graphs belong to the device that is current
        with self._device:
            pool = torch.cuda.graph_pool_handle()
            self._steps = {
                length: GraphedStep(self._layers, self.cache, length, embedding, pool)
                for length in sorted(step_lengths)
            }
            for length in [length for length in self._steps if not self._agrees(length, embedding)]:
                _logger.warning("a CUDA graph of %d tokens does not agree with its kernels; running without", length)
                del self._steps[length]
        self.cache.memory.zero_()

    @torch.inference_mode()
    def read(self, embeds: Tensor, at: Tensor | None = None) -> Tensor:
        step = self._steps.get(len(embeds)) if at is None else None
        if step is None:
            return super().read(embeds, at)
        with self._device:
            return step.replay(embeds, self.cache.length)

    @torch.inference_mode()
    def _agrees(self, length: int, embedding: Tensor) -> bool:
        """Whether graphs and kernels give the same logits at the end of every span, up to rounding."""
        embeds = embedding[:length]
        for span in self._steps[length].spans:
            self.cache.length = span - length
            graphed = self._steps[length].replay(embeds, self.cache.length).clone()
            expected = super().read(embeds)
            self.cache.length = 0
            if not (graphed - expected).norm() <= 0.05 * expected.norm():
                return False
        return True


class GraphedStep:
    """M tokens read at any position: one graph per span of the cache."""

    def __init__(self, layers: LlamaLayers, cache: StreamCache, num_tokens: int, like: Tensor, pool: tuple) -> None:
        """`like` gives device, type and width of the embeddings."""
        self._layers, self._cache = layers, cache
        self._embeds = like.new_zeros(num_tokens, like.shape[1])
        self._offsets = torch.arange(num_tokens, device=like.device)
        self._start = torch.zeros((), dtype=torch.long, device=like.device)
        spans = {min(span, cache.max_tokens) for span in range(SPAN, cache.max_tokens + SPAN, SPAN)}
        # The largest first: the others fit into its memory.
        self._graphs = {span: record(partial(self._step, span), pool) for span in sorted(spans, reverse=True)}

    @property
    def spans(self) -> list[int]:
        """How much of the cache the recorded graphs attend to."""
        return sorted(self._graphs)

    @torch.inference_mode()
    def replay(self, embeds: Tensor, start: int) -> Tensor:
        """Read `embeds` [M, d] at positions from `start` on; logits [1, vocab], overwritten by the next replay."""
        self._embeds.copy_(embeds)
        self._start.fill_(start)
        graph, logits = self._graphs[min(-(-(start + len(embeds)) // SPAN) * SPAN, self._cache.max_tokens)]
        graph.replay()
        return logits

    def _step(self, span: int) -> Tensor:
        positions = self._start + self._offsets
        attended = torch.arange(span, device=positions.device) <= positions[:, None]
        mask = additive(self._layers.group_mask(attended), self._cache.memory.dtype)
        hidden = self._layers(self._embeds, positions, span, mask, self._cache)
        return self._layers.logits(hidden[-1:]).float()


@torch.inference_mode()
def record(step: Callable[[], Tensor], pool: tuple) -> tuple[torch.cuda.CUDAGraph, Tensor]:
    """A graph of `step`, and what every replay of it writes its result into."""
    # A few runs aside, so that libraries do not choose their kernels while the graph is recorded.
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(2):
            step()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):  # other streams go on
        result = step()
    return graph, result
