# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recorded steps where there is no GPU: a graph is imitated by running its step again. test_cuda.py has real ones."""

import contextlib

import pytest
import torch

from videollm_ros.live import ContextLimits, StreamSession, graphs
from videollm_ros.live.decoder import LlamaDecoder
from videollm_ros.live.graphs import SPAN, GraphedDecoder


class Imitation:
    """Runs a step anew, and writes its result where the first one was written."""

    def __init__(self, step, result):
        self._step, self._result = step, result
        self.replays = 0

    def replay(self):
        self.replays += 1
        self._result.copy_(self._step())


def imitate(step, pool):
    result = step().clone()
    return Imitation(step, result), result


@pytest.fixture
def imitated(monkeypatch):
    monkeypatch.setattr(graphs, "record", imitate)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: (0, 0))
    monkeypatch.setattr(torch.cuda, "device", contextlib.nullcontext)


@pytest.mark.parametrize("length", [1, 11])
@pytest.mark.parametrize("max_tokens", [SPAN + 300, SPAN // 2])
def test_a_recorded_step_says_what_its_kernels_say_in_every_span(imitated, golden_model, length, max_tokens):
    limits = ContextLimits(max_tokens=max_tokens)
    graphed, plain = GraphedDecoder(golden_model.llm, limits, {1, 11}), LlamaDecoder(golden_model.llm, limits)
    assert graphed._steps.keys() == {1, 11}
    torch.manual_seed(0)
    for start in (0, 7, 500 - length, SPAN - length, SPAN - 1, max_tokens - length):
        if start + length > max_tokens:
            continue
        embeds = torch.randn(length, golden_model.llm.config.hidden_size)
        for decoder in (graphed, plain):
            decoder.cache.length = start
        torch.testing.assert_close(graphed.read(embeds), plain.read(embeds), atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(graphed.cache.memory, plain.cache.memory, atol=1e-5, rtol=1e-4)


def test_a_step_that_does_not_agree_is_left_to_its_kernels(imitated, golden_model, monkeypatch, caplog):
    def wrong(step, pool):
        result = step().clone()
        return Imitation(lambda: -step(), result), result

    monkeypatch.setattr(graphs, "record", wrong)
    decoder = GraphedDecoder(golden_model.llm, ContextLimits(max_tokens=600), {1, 11})
    assert not decoder._steps and "does not agree with its kernels" in caplog.text


def test_every_recurring_step_of_a_stream_is_recorded(imitated, golden_model, golden_frames, monkeypatch):
    monkeypatch.setattr("videollm_ros.live.context.make_decoder", GraphedDecoder)
    expected = StreamSession(golden_model, threshold=0.9).observe_many(golden_frames, [n / 2 for n in range(24)])
    session = StreamSession(golden_model, threshold=0.9, max_new_tokens=5)
    kernels = []
    read = LlamaDecoder.read
    monkeypatch.setattr(
        LlamaDecoder, "read", lambda self, embeds, at=None: kernels.append(len(embeds)) or read(self, embeds, at)
    )
    said = [said for index in range(24) for said in session.observe(golden_frames[index], index / 2)]
    assert any(one.truncated for one in said) and len(expected) > 1
    assert len(kernels) == 1  # what begins the stream, with the system prompt
    session.reset()
    session.max_new_tokens = 100
    said = [said for index in range(24) for said in session.observe(golden_frames[index], index / 2)]
    assert [(one.stamp, one.text) for one in said] == [(one.stamp, one.text) for one in expected]
