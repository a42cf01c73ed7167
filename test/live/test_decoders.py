# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Streaming step by step gives what one forward over the whole dialogue gives, for every kind of decoder."""

import pytest
import torch
from transformers import (
    CohereConfig,
    CohereForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Olmo2Config,
    Olmo2ForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from videollm_ros.live import ContextLimits, FrameDecision, PartialReply, StreamSession, Utterance, attention, context
from videollm_ros.live.decoder import StreamDecoder
from videollm_ros.live.graphs import make_decoder
from videollm_ros.live.template import Turn

LLAMA = (LlamaForCausalLM, LlamaConfig)
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
YARN_ROPE = {
    "rope_type": "yarn",
    "rope_theta": 10000.0,
    "factor": 4.0,
    "original_max_position_embeddings": 64,
}
GEOMETRIES = {
    "llama": (*LLAMA, {}),
    "llama, a kv head per head": (*LLAMA, {"num_key_value_heads": 4}),
    "llama, one kv head": (*LLAMA, {"num_key_value_heads": 1}),
    "llama, heads wider than the model": (*LLAMA, {"head_dim": 22}),
    "llama, biases": (*LLAMA, {"attention_bias": True, "mlp_bias": True}),
    "llama, tied embeddings": (*LLAMA, {"tie_word_embeddings": True}),
    "llama, gelu": (*LLAMA, {"hidden_act": "gelu"}),
    "llama, rope of llama 3.1": (*LLAMA, {"rope_parameters": LLAMA3_ROPE}),
    "llama, linear rope": (*LLAMA, {"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "factor": 4.0}}),
    "llama, yarn": (*LLAMA, {"rope_parameters": YARN_ROPE}),
    "mistral, sliding window": (MistralForCausalLM, MistralConfig, {"sliding_window": 512}),
    "qwen2": (Qwen2ForCausalLM, Qwen2Config, {}),
    "qwen2, tied embeddings": (Qwen2ForCausalLM, Qwen2Config, {"tie_word_embeddings": True}),
    "qwen3": (Qwen3ForCausalLM, Qwen3Config, {"head_dim": 16}),
    "phi3": (Phi3ForCausalLM, Phi3Config, {"pad_token_id": 0}),
    "olmo2": (Olmo2ForCausalLM, Olmo2Config, {"pad_token_id": 0}),
}


@pytest.fixture(params=GEOMETRIES)
def model(request, random_llm, compose, lean_towards):
    """Decoders that are undecided between silence, speech and the end of a reply."""
    llm_class, config_class, options = GEOMETRIES[request.param]
    model = compose(random_llm(llm_class, config_class, **options))
    return lean_towards(model, {model.template.silence_token_id: 5.0, model.template.eos_token_id: 3.0})


def undecided_threshold(model, frames):
    """A threshold that about half of the frames reach, and none just barely."""
    probe = StreamSession(model, threshold=0, max_new_tokens=8)
    events = [event for i, frame in enumerate(frames) for event in probe.observe_events(frame, i, may_speak=False)]
    silences = sorted(1 - event.speak_probability for event in events)
    middle = len(silences) // 3
    return (silences[middle] + silences[middle + 1]) / 2


def stream_with_queries(model, frames, threshold):
    stream = StreamSession(model, threshold=threshold, max_new_tokens=8)
    stream.ask("What is it?", stamp=2.5)
    stream.ask("And now?", stamp=6)
    stream.ask("Sure?", stamp=6)
    events = [event for i, frame in enumerate(frames) for event in stream.observe_events(frame, stamp=i)]
    return [event for event in events if not isinstance(event, PartialReply)], stream


def read_as_a_whole(model, frames, events):
    """The logits of one forward over what the stream read, and the position of each decision and reply in them."""
    template, turn, input_ids, positions = model.template, Turn.SYSTEM, [], []
    for event in events:
        if isinstance(event, FrameDecision):
            input_ids += template.before_frame(turn) + [template.frame_token_id] * model.config.frame_num_tokens
            positions.append(len(input_ids) - 1)
            turn = Turn.STREAM
        else:
            input_ids += template.before_answer(turn, event.query) if event.query else template.before_reply()
            positions.append(len(input_ids) - 1)
            input_ids += event.token_ids
            turn = Turn.ASSISTANT
    features = model.encode(model.prepare(frames))
    return model(torch.tensor([input_ids]), features).logits[0], positions, len(input_ids)


@pytest.mark.parametrize("decoder", ["lean", "transformers"])
def test_streaming_is_one_forward_over_the_whole_dialogue(model, monkeypatch, decoder):
    if decoder == "transformers":
        monkeypatch.setattr(context, "make_decoder", lambda llm, limits, *_: StreamDecoder(llm, limits))
    torch.manual_seed(2)
    frames = torch.randint(256, (16, 3, 40, 56), dtype=torch.uint8)
    threshold = undecided_threshold(model, frames)
    events, stream = stream_with_queries(model, frames, threshold)
    logits, positions, num_tokens = read_as_a_whole(model, frames, events)

    decisions = [event for event in events if isinstance(event, FrameDecision)]
    assert len(decisions) == len(frames)
    assert {decision.speaks for decision in decisions} == {True, False}
    assert sum(isinstance(event, Utterance) and event.query is not None for event in events) == 3
    silence, eos = model.template.silence_token_id, model.template.eos_token_id
    for event, position in zip(events, positions, strict=True):
        if isinstance(event, FrameDecision):
            expected = 1 - float(logits[position].softmax(-1)[silence])
            assert event.speak_probability == pytest.approx(expected, abs=1e-4)
        else:
            reply = [*event.token_ids] if event.truncated else [*event.token_ids, eos]
            assert logits[position : position + len(reply)].argmax(-1).tolist() == reply
    unread = 1 if isinstance(events[-1], Utterance) and events[-1].truncated else 0
    assert stream.state.tokens == num_tokens - unread


@pytest.mark.slow
@pytest.mark.parametrize("version", ["live1+", "live1"])
def test_observe_many_says_the_same(model, compose, version):
    if version == "live1":
        model = compose(model.llm, frame_token_pooled=None, frame_token_interval="")
    torch.manual_seed(2)
    frames = torch.randint(256, (16, 3, 40, 56), dtype=torch.uint8)
    threshold = undecided_threshold(model, frames)
    events, _ = stream_with_queries(model, frames, threshold)
    at_once = StreamSession(model, threshold=threshold, max_new_tokens=8)
    at_once.ask("What is it?", stamp=2.5)
    at_once.ask("And now?", stamp=6)
    at_once.ask("Sure?", stamp=6)
    said = at_once.observe_many(frames, range(16))
    one_by_one = [event for event in events if isinstance(event, Utterance)]
    assert [(u.token_ids, u.stamp, u.query) for u in said] == [(u.token_ids, u.stamp, u.query) for u in one_by_one]
    assert len(said) > 3


def test_live1_reads_one_token_per_frame_and_no_silence(compose, lean_towards):
    model = compose(frame_token_pooled=None, frame_token_interval="")
    lean_towards(model, {model.template.eos_token_id: 6.0})  # which is silence as well
    torch.manual_seed(2)
    frames = torch.randint(256, (16, 3, 40, 56), dtype=torch.uint8)
    threshold = undecided_threshold(model, frames)
    events, stream = stream_with_queries(model, frames, threshold)
    logits, positions, _ = read_as_a_whole(model, frames, events)
    for event, position in zip(events, positions, strict=True):
        if isinstance(event, FrameDecision):
            p_silence = float(logits[position].softmax(-1)[model.template.eos_token_id])
            assert event.speak_probability == pytest.approx(1 - p_silence, abs=1e-4)
    assert {event.speaks for event in events if isinstance(event, FrameDecision)} == {True, False}
    assert stream.state.frame_tokens == 16


def test_a_sliding_window_bounds_the_context(random_llm, compose):
    windowed = random_llm(MistralForCausalLM, MistralConfig, sliding_window=128)
    assert StreamSession(compose(windowed), max_new_tokens=8).state.max_tokens == 128
    with pytest.raises(ValueError, match="129 lies beyond the 128 positions"):
        StreamSession(compose(windowed), max_new_tokens=8, context=ContextLimits(max_tokens=129))


@pytest.mark.parametrize(
    ("llm_class", "config_class", "options", "complaint"),
    [
        (*LLAMA, {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}}, "dynamic RoPE"),
        (Gemma3ForCausalLM, Gemma3TextConfig, {"head_dim": 8}, "rotary embeddings|no rope_type|RoPE"),
        (CohereForCausalLM, CohereConfig, {"pad_token_id": 0, "eos_token_id": 1}, "does not rotate halves"),
        (GPT2LMHeadModel, GPT2Config, {}, "0 rotary embeddings"),
    ],
)
def test_a_decoder_whose_keys_cannot_be_moved_is_refused(
    random_llm, compose, llm_class, config_class, options, complaint
):
    llm = random_llm(llm_class, config_class, **options)
    with pytest.raises(ValueError, match=complaint):
        StreamSession(compose(llm), max_new_tokens=8)


def test_a_word_is_read_whatever_layout_attention_gives(random_llm, monkeypatch):
    """Memory-efficient attention on CUDA gives heads and tokens transposed in memory."""
    llm = random_llm(*LLAMA)
    embeds = torch.randn(1, llm.config.hidden_size)
    expected = make_decoder(llm, ContextLimits()).read(embeds).clone()
    attend = attention.F.scaled_dot_product_attention

    def transposed(*inputs, **options):
        return attend(*inputs, **options).transpose(1, 2).contiguous().transpose(1, 2)

    monkeypatch.setattr(attention.F, "scaled_dot_product_attention", transposed)
    torch.testing.assert_close(make_decoder(llm, ContextLimits()).read(embeds), expected)
