# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""On a CUDA GPU: captured graphs say what kernels say, streams do not mix, and the goldens come out word for word."""

import threading

import pytest
import torch

from videollm_ros.live import CheckpointError, ContextLimits, LiveModel, NonFiniteError, StreamSession, Utterance
from videollm_ros.live.attention import CHUNK, SplitAttention
from videollm_ros.live.decoder import LlamaDecoder
from videollm_ros.live.graphs import make_decoder
from videollm_ros.live.handover import hand_over

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU on this machine")]

STAMPS = [index / 2 for index in range(24)]


def load(goldens_folder, **options) -> LiveModel:
    sources = {"llm": goldens_folder / "base", "vision": goldens_folder / "vision"}
    return LiveModel.from_pretrained(
        goldens_folder / "adapter", **sources, **{"device": "cuda", "dtype": "float32", **options}
    )


@pytest.fixture(scope="module")
def cuda_model(goldens_folder) -> LiveModel:
    return load(goldens_folder)


def words(said: list[Utterance]) -> list[tuple]:
    return [(one.stamp, one.query, one.text) for one in said]


@pytest.mark.parametrize("together", [False, True])
def test_every_golden_stream_comes_out_word_for_word(cuda_model, goldens, golden_frames, together):
    for stream in goldens["streams"]:
        session = StreamSession(cuda_model, threshold=stream["threshold"])
        for stamp, query in stream["queries"]:
            session.ask(query, stamp)
        if together:
            said = session.observe_many(golden_frames, STAMPS)
        else:
            said = [said for index in range(24) for said in session.observe(golden_frames[index], index / 2)]
        assert words(said) == [
            (event["video_time"], event["query"], event["response"].strip()) for event in stream["events"]
        ]


@pytest.mark.parametrize("length", [1, 11])
@pytest.mark.parametrize("max_tokens", [2048, 1500])
def test_a_graph_says_what_its_kernels_say_in_every_bucket(cuda_model, length, max_tokens):
    limits = ContextLimits(max_tokens=max_tokens)
    graphed, plain = make_decoder(cuda_model.llm, limits, {1, 11}), LlamaDecoder(cuda_model.llm, limits)
    assert graphed._steps.keys() == {1, 11}  # none was discarded
    torch.manual_seed(0)
    for start in (0, 500, 1020, max_tokens // 2 + 3, max_tokens - length):
        embeds = torch.randn(length, cuda_model.llm.config.hidden_size, device="cuda")
        noise = torch.randn_like(plain.cache.memory)
        for decoder in (graphed, plain):
            decoder.cache.length = start
            decoder.cache.memory.copy_(noise)
        torch.testing.assert_close(graphed.read(embeds), plain.read(embeds), atol=1e-3, rtol=1e-3)
        torch.testing.assert_close(graphed.cache.memory, plain.cache.memory, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_no_graph_is_discarded_in_half_precision(random_llm, dtype):
    llm = random_llm(hidden_size=256, num_hidden_layers=8, initializer_range=0.05).to("cuda", dtype)
    assert make_decoder(llm, ContextLimits(max_tokens=2048), {1, 11})._steps.keys() == {1, 11}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_chunks_together_are_the_whole_on_the_gpu(dtype):
    torch.manual_seed(0)
    query = torch.randn(1, 8, 44, 128, device="cuda", dtype=dtype)
    keys, values = torch.randn(2, 1, 8, 8 * CHUNK, 128, device="cuda", dtype=dtype)
    for start in (0, 100, 5 * CHUNK - 3, 8 * CHUNK - 11):
        visible = torch.arange(8 * CHUNK, device="cuda") <= start + torch.arange(11, device="cuda")[:, None]
        visible = visible.repeat(4, 1)
        split = SplitAttention(visible, dtype)(query, keys, values)
        exact = torch.nn.functional.scaled_dot_product_attention(
            query.double(), keys.double(), values.double(), attn_mask=visible
        )
        tolerance = 1e-4 if dtype == torch.float32 else 1e-2
        torch.testing.assert_close(split.double(), exact, atol=tolerance, rtol=tolerance)


def test_eviction_between_replays_gives_what_kernels_give(cuda_model, golden_frames, monkeypatch):
    limits = ContextLimits(max_tokens=400, vision_seconds=5)
    frames, stamps = golden_frames.repeat(6, 1, 1, 1), [index / 2 for index in range(144)]
    graphed = StreamSession(cuda_model, max_new_tokens=20, context=limits)
    said = [said for frame, stamp in zip(frames, stamps, strict=True) for said in graphed.observe(frame, stamp)]
    assert graphed.state.evictions > 2
    monkeypatch.setattr("videollm_ros.live.context.make_decoder", lambda llm, limits, *_: LlamaDecoder(llm, limits))
    plain = StreamSession(cuda_model, max_new_tokens=20, context=limits)
    expected = [said for frame, stamp in zip(frames, stamps, strict=True) for said in plain.observe(frame, stamp)]
    assert words(said) == words(expected)


def test_two_streams_of_one_model_do_not_mix(cuda_model, golden_frames):
    videos = (golden_frames, golden_frames.flip(0))
    alone = [StreamSession(cuda_model).observe_many(frames, STAMPS) for frames in videos]
    sessions = [StreamSession(cuda_model), StreamSession(cuda_model)]
    said: list[list[Utterance]] = [[], []]
    for index, stamp in enumerate(STAMPS):
        for session, video, one in zip(sessions, videos, said, strict=True):
            one += session.observe(video[index], stamp)
    assert [words(one) for one in said] == [words(one) for one in alone]


def test_an_encoder_beside_the_decoder_changes_nothing(cuda_model, golden_frames):
    expected = StreamSession(cuda_model).observe_many(golden_frames, STAMPS)
    embeds = cuda_model.embed_frames(golden_frames)
    done, stream = threading.Event(), torch.cuda.Stream()

    def encode() -> None:
        with torch.cuda.stream(stream):
            while not done.is_set():
                hand_over(cuda_model.embed_frames(golden_frames, 8)).take()

    beside = threading.Thread(target=encode)
    beside.start()
    try:
        session = StreamSession(cuda_model)
        events = []
        for index, stamp in enumerate(STAMPS):
            events += session.observe_embeds(embeds[index][None], [stamp])
    finally:
        done.set()
        beside.join()
    assert words([event for event in events if isinstance(event, Utterance)]) == words(expected)


def test_frames_that_are_still_in_the_making_on_the_gpu_are_waited_for(cuda_model, golden_frames):
    expected = StreamSession(cuda_model).observe_many(golden_frames, STAMPS)
    made = golden_frames.cuda()
    torch.cuda.synchronize()
    frames = torch.zeros_like(made)
    torch.cuda._sleep(200_000_000)  # some 0.1 s, in which the copy below has not begun
    frames.copy_(made)
    assert words(StreamSession(cuda_model).observe_many(frames, STAMPS)) == words(expected)


def test_after_a_value_that_is_not_finite_a_reset_makes_all_good_again(cuda_model, golden_frames):
    session = StreamSession(cuda_model)
    embeds = cuda_model.embed_frames(golden_frames)
    broken = embeds[:1].clone()
    broken[0, 0, 0] = torch.nan
    for index in range(4):
        list(session.observe_embeds(embeds[index][None], [STAMPS[index]]))
    with pytest.raises(NonFiniteError):
        list(session.observe_embeds(broken, [STAMPS[4]]))
    session.reset()
    said = [said for index in range(24) for said in session.observe(golden_frames[index], STAMPS[index])]
    assert words(said) == words(StreamSession(cuda_model).observe_many(golden_frames, STAMPS))


@pytest.mark.parametrize("quantization", ["int8", "fp8"])
def test_quantized_weights_say_nearly_the_same_under_graphs(goldens_folder, golden_frames, quantization):
    pytest.importorskip("torchao", reason="torchao is the extra 'quantization'")
    try:
        model = load(goldens_folder, dtype="bfloat16", quantization=quantization)
    except CheckpointError as error:
        pytest.skip(str(error))
    said = StreamSession(model).observe_many(golden_frames, STAMPS)
    full = StreamSession(load(goldens_folder, dtype="bfloat16")).observe_many(golden_frames, STAMPS)
    assert len({*words(said)} & {*words(full)}) >= 0.5 * len(full)


def test_a_session_that_runs_out_of_memory_leaves_the_model_usable(cuda_model, golden_frames):
    expected = StreamSession(cuda_model).observe_many(golden_frames, STAMPS)
    free, _ = torch.cuda.mem_get_info()
    hog = torch.empty(free - 2**28, dtype=torch.uint8, device="cuda")
    try:
        with pytest.raises(torch.cuda.OutOfMemoryError):
            cuda_model.encode(torch.zeros(4096, 3, 96, 96, dtype=torch.uint8))
    finally:
        del hog
        torch.cuda.empty_cache()
    assert words(StreamSession(cuda_model).observe_many(golden_frames, STAMPS)) == words(expected)
