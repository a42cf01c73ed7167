# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What travels with events, and how replies become text."""

import numpy as np
import pytest
import torch

from videollm_ros.live import FrameDecision, PartialReply, StreamSession, Utterance
from videollm_ros.live.events import decode_reply


def test_the_space_after_the_assistants_prefix_and_control_tokens_are_not_said(tokenizer):
    ids = tokenizer(" A cup. ", add_special_tokens=False)["input_ids"]
    assert decode_reply(tokenizer, [*ids, tokenizer.eos_token_id]) == "A cup."
    assert decode_reply(tokenizer, []) == ""


def test_what_is_given_with_a_frame_or_a_query_comes_back_with_its_events(golden_model, golden_frames):
    session = StreamSession(golden_model)
    embeds = golden_model.embed(golden_model.encode(golden_frames[:6]))
    objects = [np.full(2, number) for number in range(6)]  # arrays have no truth value: they must not be compared
    request = object()
    session.ask("What is it now?", 1.0, "q", request=request)
    events = list(session.observe_embeds(embeds, [0.0, 0.5, 1.0, 1.5, 2.0, 2.5], frames=objects))
    decisions = [event for event in events if isinstance(event, FrameDecision)]
    assert [decision.frame is given for decision, given in zip(decisions, objects, strict=True)] == [True] * 6
    replies = [event for event in events if isinstance(event, PartialReply | Utterance)]
    assert {reply.request is request for reply in replies if reply.query_id == "q"} == {True}
    assert {reply.request for reply in replies if not reply.query_id} == {None}
    assert events == list(events)


def test_there_must_be_as_many_objects_as_frames(golden_model):
    with pytest.raises(ValueError, match="2 embeddings but 1 frames"):
        list(StreamSession(golden_model).observe_embeds(torch.zeros(2, 10, 48), [0.0, 1.0], frames=["one"]))


def test_without_objects_a_decision_carries_none(golden_model, golden_frames):
    assert next(StreamSession(golden_model).observe_events(golden_frames[0], 0.0)).frame is None


def test_the_old_names_still_work_and_warn(golden_model, golden_frames):
    session, new = StreamSession(golden_model), StreamSession(golden_model)
    with pytest.warns(DeprecationWarning, match="observe_events"):
        events = list(session.stream(golden_frames[0], 0.0))
    assert events == list(new.observe_events(golden_frames[0], 0.0))
    embeds = golden_model.embed(golden_model.encode(golden_frames[1:3]))
    with pytest.warns(DeprecationWarning, match="observe_embeds"):
        events = list(session.stream_embeds(embeds, [1.0, 2.0]))
    assert events == list(new.observe_embeds(embeds, [1.0, 2.0]))
