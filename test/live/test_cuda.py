# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""On a CUDA GPU: recorded graphs say what kernels say, and the goldens come out word for word."""

import pytest
import torch

from videollm_ros.live import ContextLimits, LiveModel, StreamSession
from videollm_ros.live.decoder import LlamaDecoder
from videollm_ros.live.graphs import make_decoder

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU on this machine")


@pytest.fixture(scope="module")
def cuda_model(goldens_folder) -> LiveModel:
    return LiveModel.from_pretrained(
        goldens_folder / "adapter",
        llm=goldens_folder / "base",
        vision=goldens_folder / "vision",
        device="cuda",
        dtype="float32",
    )


def test_every_golden_stream_comes_out_word_for_word(cuda_model, goldens, golden_frames):
    for stream in goldens["streams"]:
        session = StreamSession(cuda_model, threshold=stream["threshold"])
        for stamp, query in stream["queries"]:
            session.ask(query, stamp)
        said = [said for index in range(24) for said in session.observe(golden_frames[index], index / 2)]
        assert [(one.stamp, one.query, one.text) for one in said] == [
            (event["video_time"], event["query"], event["response"].strip()) for event in stream["events"]
        ]


@pytest.mark.parametrize("length", [1, 11])
def test_a_graph_says_what_its_kernels_say_in_every_span(cuda_model, length):
    limits = ContextLimits(max_tokens=2048)
    graphed, plain = make_decoder(cuda_model.llm, limits, {1, 11}), LlamaDecoder(cuda_model.llm, limits)
    assert graphed._steps.keys() == {1, 11}  # none was discarded
    torch.manual_seed(0)
    for start in (0, 500, 1020, 1500, 2048 - length):
        embeds = torch.randn(length, cuda_model.llm.config.hidden_size, device="cuda")
        for decoder in (graphed, plain):
            decoder.cache.length = start
        torch.testing.assert_close(graphed.read(embeds), plain.read(embeds), atol=1e-3, rtol=1e-3)
        kept = (..., slice(start, start + length), slice(None))
        torch.testing.assert_close(graphed.cache.keys[kept], plain.cache.keys[kept], atol=1e-3, rtol=1e-3)
