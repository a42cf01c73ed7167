# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Captured steps where there is no GPU: a graph is imitated by running its step again. test_cuda.py has real ones."""

import contextlib

import pytest
import torch

from videollm_ros.live import ContextLimits, StreamSession, graphs
from videollm_ros.live.attention import SplitAttention
from videollm_ros.live.decoder import LlamaDecoder
from videollm_ros.live.graphs import KV_BUCKET, GraphedDecoder, GraphedStep


class Imitation:
    """Runs a step again, and writes its result where the first one was written."""

    def __init__(self, step, result):
        self._step, self._result = step, result

    def replay(self):
        self._result.copy_(self._step())


def imitate(step, where):
    result = step().clone()
    return Imitation(step, result), result


class Stream:
    """Notes, in one list for all streams, who waits for whom."""

    waits: list = []  # noqa: RUF012 - replaced by the fixture
    made: list = []  # noqa: RUF012

    def __init__(self, priority=0):
        self.priority = priority
        Stream.made.append(self)

    def wait_stream(self, other):
        Stream.waits.append((self, other))


@pytest.fixture
def imitated(monkeypatch):
    """Graphs, streams and devices that need no GPU; returns the caller's stream."""
    caller = Stream()
    monkeypatch.setattr(Stream, "waits", [])
    monkeypatch.setattr(Stream, "made", [])
    monkeypatch.setattr(graphs, "capture", imitate)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: (0, 0))
    monkeypatch.setattr(torch.cuda, "device", contextlib.nullcontext)
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", contextlib.nullcontext)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: caller)
    return caller


@pytest.mark.parametrize("length", [1, 11])
@pytest.mark.parametrize("max_tokens", [KV_BUCKET + 300, KV_BUCKET // 2, 2 * KV_BUCKET])
def test_a_captured_step_says_what_its_kernels_say_in_every_bucket(imitated, golden_model, length, max_tokens):
    limits = ContextLimits(max_tokens=max_tokens)
    graphed, plain = GraphedDecoder(golden_model.llm, limits, {1, 11}), LlamaDecoder(golden_model.llm, limits)
    assert graphed._steps.keys() == {1, 11}
    torch.manual_seed(0)
    for start in (0, 7, 500 - length, KV_BUCKET - length, KV_BUCKET - 1, max_tokens - length):
        if start + length > max_tokens:
            continue
        embeds = torch.randn(length, golden_model.llm.config.hidden_size)
        given = embeds.clone()
        for decoder in (graphed, plain):
            decoder.cache.length = start
        torch.testing.assert_close(graphed.read(embeds), plain.read(embeds), atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(graphed.cache.memory, plain.cache.memory, atol=1e-5, rtol=1e-4)
        assert torch.equal(embeds, given)  # the residual stream grows in place, but not in what was given


def test_one_stream_of_high_priority_serves_all_captures_and_waits_both_ways(imitated, golden_model):
    decoder = GraphedDecoder(golden_model.llm, ContextLimits(max_tokens=2 * KV_BUCKET), {1, 11})
    (own,) = Stream.made
    assert own.priority < 0
    Stream.waits.clear()
    decoder.read(torch.zeros(11, golden_model.llm.config.hidden_size))
    assert Stream.waits == [(own, imitated), (imitated, own)]


def forgets_the_first_tokens(visible):
    return visible & (torch.arange(visible.shape[1]) >= 12)


def sees_the_whole_span(visible):
    return torch.ones_like(visible)


def sees_tokens_to_come(visible):
    return visible | visible.any(0)


def does_not_see_itself(visible):
    return visible & ~torch.cat((visible[:, 1:] ^ visible[:, :-1], visible[:, -1:]), dim=1)


def forgets_half(visible):
    return visible & (torch.arange(visible.shape[1]) % 2 == 0)


@pytest.mark.parametrize(
    "spoil",
    [forgets_the_first_tokens, sees_the_whole_span, sees_tokens_to_come, does_not_see_itself, forgets_half],
)
@pytest.mark.parametrize("length", [1, 11])
@pytest.mark.parametrize("max_tokens", [600, 2 * KV_BUCKET])
def test_a_step_with_a_wrong_mask_is_left_to_its_kernels(
    imitated, golden_model, monkeypatch, caplog, spoil, length, max_tokens
):
    if spoil is sees_tokens_to_come and length == 1:
        pytest.skip("a single token has none to come")
    for name in ("SplitAttention", "additive_mask"):
        right = getattr(graphs, name)
        monkeypatch.setattr(graphs, name, lambda visible, dtype, right=right: right(spoil(visible), dtype))
    decoder = GraphedDecoder(golden_model.llm, ContextLimits(max_tokens=max_tokens), {length})
    assert not decoder._steps and "does not agree with its kernels" in caplog.text


def a_little_off(step):
    return 1.01 * step()


def negative(step):
    return -step()


def not_a_number(step):
    return step() * torch.nan


@pytest.mark.parametrize("spoil", [a_little_off, negative, not_a_number])
def test_a_step_with_wrong_logits_is_left_to_its_kernels(imitated, golden_model, monkeypatch, caplog, spoil):
    monkeypatch.setattr(graphs, "capture", lambda step, where: imitate(lambda: spoil(step), where))
    decoder = GraphedDecoder(golden_model.llm, ContextLimits(max_tokens=600), {1, 11})
    assert not decoder._steps and "does not agree with its kernels" in caplog.text


@pytest.mark.parametrize("part", [0, 1])
@pytest.mark.parametrize("where", ["at its place", "elsewhere"])
def test_a_step_that_writes_the_wrong_keys_or_values_is_left_to_its_kernels(
    imitated, golden_model, monkeypatch, part, where
):
    """Keys of the last layer are not read by the step itself: its logits are right all the same."""
    run = GraphedStep._step

    def spoiled(self, span):
        logits = run(self, span)
        at = int(self._start) if where == "at its place" else 599
        self._cache.memory[-1, part, ..., at, :] += 9.0
        return logits

    monkeypatch.setattr(GraphedStep, "_step", spoiled)
    assert not GraphedDecoder(golden_model.llm, ContextLimits(max_tokens=600), {1})._steps


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_rounding_in_half_precision_is_not_taken_for_a_fault(imitated, random_llm, dtype):
    llm = random_llm(num_hidden_layers=8, initializer_range=0.1).to(dtype)
    assert GraphedDecoder(llm, ContextLimits(max_tokens=2 * KV_BUCKET), {1, 11})._steps.keys() == {1, 11}


def test_the_cache_is_empty_after_the_check(imitated, golden_model):
    decoder = GraphedDecoder(golden_model.llm, ContextLimits(max_tokens=600), {1, 11})
    assert decoder.cache.length == 0 and not decoder.cache.memory.any()


def test_long_spans_are_split(imitated, golden_model, monkeypatch):
    spans = []
    init = SplitAttention.__init__

    def noted(self, visible, dtype):
        spans.append(visible.shape[1])
        init(self, visible, dtype)

    monkeypatch.setattr(SplitAttention, "__init__", noted)
    GraphedDecoder(golden_model.llm, ContextLimits(max_tokens=KV_BUCKET + 300), {1})
    assert set(spans) == {KV_BUCKET}  # 1324 is not a whole number of chunks


def test_every_recurring_step_of_a_stream_is_captured(imitated, golden_model, golden_frames, monkeypatch):
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
