# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compatible with the published model: what it gives on a small checkpoint, recorded in test/goldens/live1plus."""

import pytest
import torch

from videollm_ros.live import StreamSession
from videollm_ros.live.template import Turn

DIALOGUES, STREAMS = range(3), range(12)


def dialogue_inputs(dialogue, tensors):
    """Input ids and labels [1, L] and the features of the dialogue's frames."""
    first = dialogue["first_frame"]
    features = tensors["vision_features"][first : first + dialogue["num_frames"]]
    return torch.tensor([dialogue["input_ids"]]), torch.tensor([dialogue["labels"]]), features.float()


@pytest.mark.parametrize("index", DIALOGUES)
def test_a_dialogue_becomes_the_published_ids_and_labels(golden_model, goldens, index):
    dialogue = goldens["dialogues"][index]
    input_ids, labels = golden_model.template.encode(dialogue["conversation"])
    assert input_ids == dialogue["input_ids"]
    assert labels == dialogue["labels"]


@pytest.mark.parametrize("index", DIALOGUES)
def test_a_dialogue_reads_as_the_published_text(golden_model, goldens, index):
    dialogue = goldens["dialogues"][index]
    assert golden_model.template.render(dialogue["conversation"]) == dialogue["text"]


def test_the_prompts_between_turns_are_the_published_ones(golden_model, goldens):
    template, prompts = golden_model.template, goldens["prompts"]
    assert template.before_frame(Turn.SYSTEM) == prompts["start"]
    assert template.before_frame(Turn.ASSISTANT) == [template.eos_token_id, *prompts["stream"]]
    assert template.before_reply() == prompts["stream_generation"]
    assert template.before_answer(Turn.STREAM, "What is it now?") == prompts["query"]


def test_the_special_tokens_are_the_published_ones(golden_model, goldens):
    template, special = golden_model.template, goldens["special"]
    assert template.silence_token_id == special["frame_interval"]
    assert template.eos_token_id == special["eos"]
    assert template.frame_token_id == special["v_placeholder"]


def test_features_agree_to_1e_4(golden_model, golden_tensors):
    features = golden_model.encode(golden_tensors["frames"])
    torch.testing.assert_close(features, golden_tensors["vision_features"].float(), rtol=0, atol=1e-4)


def test_frame_embeddings_agree_to_1e_4(golden_model, golden_tensors):
    embeds = golden_model.embed(golden_tensors["vision_features"])
    torch.testing.assert_close(embeds, golden_tensors["frame_embeds"].float(), rtol=0, atol=1e-4)


@pytest.mark.parametrize("index", DIALOGUES)
def test_logits_agree_to_the_rounding_of_float16_and_in_every_arg_max(golden_model, goldens, golden_tensors, index):
    input_ids, _, features = dialogue_inputs(goldens["dialogues"][index], golden_tensors)
    logits = golden_model(input_ids, features).logits[0]
    published = golden_tensors[f"dialogue{index}.logits"].float().view_as(logits)
    torch.testing.assert_close(logits, published, rtol=0, atol=0.02)
    assert torch.equal(logits.argmax(-1), published.argmax(-1))


@pytest.mark.parametrize("index", DIALOGUES)
def test_the_loss_agrees_to_1e_4(golden_model, goldens, golden_tensors, index):
    dialogue = goldens["dialogues"][index]
    input_ids, labels, features = dialogue_inputs(dialogue, golden_tensors)
    loss = golden_model(input_ids, features, labels).loss
    assert float(loss) == pytest.approx(dialogue["loss"], abs=1e-4)


@pytest.mark.parametrize("frames_at_once", [1, 5, 24])
@pytest.mark.parametrize("index", STREAMS)
def test_a_stream_is_the_published_one_word_for_word(golden_model, goldens, golden_frames, index, frames_at_once):
    stream = goldens["streams"][index]
    session = StreamSession(golden_model, threshold=stream["threshold"])
    for stamp, text in stream["queries"]:
        session.ask(text, stamp)
    stamps = [i / 2 for i in range(len(golden_frames))]
    said = []
    for start in range(0, len(stamps), frames_at_once):
        part = slice(start, start + frames_at_once)
        if frames_at_once == 1:
            said += session.observe(golden_frames[start], stamps[start])
        else:
            said += session.observe_many(golden_frames[part], stamps[part])
    published = [(event["video_time"], event["query"], event["response"].strip()) for event in stream["events"]]
    assert [(utterance.stamp, utterance.query, utterance.text) for utterance in said] == published
    assert session.state.tokens == stream["cache_len"]
