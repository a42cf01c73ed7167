# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A session refuses what cannot be, forgets what it is told to, and shares its model with others."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from videollm_ros.live import ContextLimits, StreamSession

STAMPS = [number / 2 for number in range(24)]


@pytest.fixture
def session(golden_model):
    return StreamSession(golden_model)


@pytest.mark.parametrize("stamp", [0.9, float("nan"), float("inf"), -1.0])
def test_a_stamp_that_goes_back_or_is_no_time_is_refused_and_nothing_read(session, golden_frames, stamp):
    session.observe(golden_frames[0], 1.0)
    before = session.state
    with pytest.raises(ValueError, match="stamp"):
        session.observe(golden_frames[1], stamp)
    with pytest.raises(ValueError, match="stamp"):
        session.observe_many(golden_frames.repeat(2, 1, 1, 1), [*np.linspace(1.0, 5.0, 47), stamp])
    assert session.state == before


def test_two_frames_may_have_one_stamp(session, golden_frames):
    session.observe_many(golden_frames[:2], [1.0, 1.0])
    assert session.state.frames_read == 2


def test_a_frame_that_is_none_is_refused_and_nothing_read(session, golden_frames):
    before = session.state
    with pytest.raises(ValueError, match="expected uint8 RGB frames"):
        session.observe(golden_frames[0].float(), 0.0)
    with pytest.raises(ValueError, match="expected uint8 RGB frames"):
        session.observe_many([*golden_frames, golden_frames[0, 0]], list(range(25)))
    assert session.state == before


def test_frames_and_stamps_must_be_as_many(session, golden_frames):
    with pytest.raises(ValueError, match="2 frames but 3 stamps"):
        session.observe_many(golden_frames[:2], [0.0, 0.5, 1.0])
    embeds = torch.zeros(2, 10, 48)
    with pytest.raises(ValueError, match="2 frames but 3 stamps"):
        list(session.observe_embeds(embeds, [0.0, 0.5, 1.0]))


@pytest.mark.parametrize("text", ["", " \n ", "\u2028"])
def test_an_empty_query_is_refused(session, text):
    with pytest.raises(ValueError, match="empty"):
        session.ask(text, 0.0)


@pytest.mark.parametrize("stamp", [float("nan"), float("inf")])
def test_a_query_without_a_time_is_refused(session, stamp):
    with pytest.raises(ValueError, match="stamp"):
        session.ask("What is it?", stamp)


def test_a_query_longer_than_the_context_is_refused_with_its_length(golden_model):
    session = StreamSession(golden_model, max_new_tokens=10, context=ContextLimits(max_tokens=200))
    with pytest.raises(ValueError, match=r"the query has \d+ tokens; with this context it may have \d+"):
        session.ask("word " * 200, 0.0)


def test_half_a_surrogate_pair_is_refused_as_text(session):
    with pytest.raises(ValueError, match="text"):
        session.ask("What is \ud83d?", 0.0)


@pytest.mark.parametrize("threshold", [-0.01, 1.01, float("nan")])
def test_a_threshold_that_is_no_probability_is_refused(golden_model, session, threshold):
    with pytest.raises(ValueError, match="threshold is a probability"):
        StreamSession(golden_model, threshold=threshold)
    with pytest.raises(ValueError, match="threshold is a probability"):
        session.threshold = threshold
    assert session.threshold == 0.725


def test_a_reply_needs_a_token(golden_model):
    with pytest.raises(ValueError, match="max_new_tokens is at least 1: 0"):
        StreamSession(golden_model, max_new_tokens=0)


def test_a_context_too_small_for_the_replies_is_refused(golden_model):
    with pytest.raises(ValueError, match="max_tokens 100 is too small for replies of 50 tokens"):
        StreamSession(golden_model, max_new_tokens=50, context=ContextLimits(max_tokens=100))


@pytest.mark.parametrize(
    ("limits", "complaint"),
    [
        ({"max_tokens": 0}, "max_tokens is a number of tokens, at least 1: 0"),
        ({"vision_seconds": -1.0}, "vision_seconds -1.0"),
        ({"text_tokens": -1}, "text_tokens -1"),
    ],
)
def test_a_limit_out_of_its_range_is_refused(limits, complaint):
    with pytest.raises(ValueError, match=complaint):
        ContextLimits(**limits)


def test_a_context_beyond_the_trained_range_is_refused(golden_model):
    with pytest.raises(ValueError, match="2049 lies beyond the 2048 positions"):
        StreamSession(golden_model, context=ContextLimits(max_tokens=2049))


@pytest.mark.parametrize("max_new_tokens", [3, 100])
def test_after_a_reset_the_stream_is_as_new(golden_model, golden_frames, max_new_tokens):
    context = ContextLimits(max_tokens=300)
    used, new = (StreamSession(golden_model, max_new_tokens=max_new_tokens, context=context) for _ in range(2))
    used.observe_many(golden_frames[:17], STAMPS[:17])  # ends with a reply, which a limit of three tokens cuts off
    used.reset()
    assert used.state == new.state
    assert used.observe_many(golden_frames, STAMPS) == new.observe_many(golden_frames, STAMPS)
    assert used.state == new.state


def test_a_reset_returns_the_queries_that_were_waiting(session, golden_frames):
    session.ask("Later?", 9.0, query_id="b")
    session.ask("Soon?", 8.0, query_id="a")
    session.observe(golden_frames[0], 0.0)
    assert [(query.text, query.stamp, query.query_id) for query in session.reset()] == [
        ("Soon?", 8.0, "a"),
        ("Later?", 9.0, "b"),
    ]
    assert session.state.queries_waiting == 0


def test_sessions_that_share_a_model_do_not_disturb_each_other(golden_model, golden_frames):
    seen = [golden_frames, golden_frames.flip(0)]
    alone = [StreamSession(golden_model).observe_many(frames, STAMPS) for frames in seen]
    sessions = [StreamSession(golden_model), StreamSession(golden_model)]
    together = [[], []]
    for index, stamp in enumerate(STAMPS):
        for session, frames, said in zip(sessions, seen, together, strict=True):
            said += session.observe(frames[index], stamp)
    assert [[utterance.text for utterance in said] for said in together] == [
        [utterance.text for utterance in said] for said in alone
    ]
    assert alone[0] and alone[1]


def test_a_session_leaves_its_model_as_it_was(golden_model, golden_frames, tmp_path):
    from videollm_ros.live import LiveModel

    StreamSession(golden_model).observe_many(golden_frames, STAMPS)
    golden_model.save_pretrained(tmp_path)
    again = LiveModel.from_pretrained(tmp_path, device="cpu", dtype="float32")
    expected = golden_model.state_dict()
    assert again.state_dict().keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in again.state_dict().items())


def test_frames_may_change_their_size(golden_model, golden_frames):
    sizes = [(96, 96), (48, 64), (200, 100), (480, 640)]
    frames = [
        torch.nn.functional.interpolate(frame[None], sizes[index % 4], mode="nearest")[0]
        for index, frame in enumerate(golden_frames)
    ]
    frames[5] = frames[5].permute(1, 2, 0).numpy()
    one_by_one = StreamSession(golden_model)
    said = [
        utterance for frame, stamp in zip(frames, STAMPS, strict=True) for utterance in one_by_one.observe(frame, stamp)
    ]
    many = StreamSession(golden_model).observe_many(frames, STAMPS)
    assert [(utterance.stamp, utterance.text) for utterance in many] == [(u.stamp, u.text) for u in said]
    assert said


def test_no_frames_are_no_news(session):
    assert session.observe_many([], []) == []


def test_the_state_counts_every_token_once(session, golden_frames):
    session.ask("What is it now?", 3.0)
    session.observe_many(golden_frames, STAMPS)
    state = session.state
    assert state.tokens == state.system_tokens + state.frame_tokens + state.text_tokens
    assert state.system_tokens == session.model.template.num_system_tokens + 1  # and the opening of the stream
    assert (state.frames_read, state.queries_waiting, state.evictions) == (24, 0, 0)
    assert state.oldest_frame_stamp == 0.0


def test_sessions_may_share_their_model_across_threads(golden_model, golden_frames):
    def watch(_):
        session = StreamSession(golden_model)
        session.ask("What is it now?", 3.0)
        return [utterance for i, stamp in enumerate(STAMPS) for utterance in session.observe(golden_frames[i], stamp)]

    with ThreadPoolExecutor(4) as threads:
        said = list(threads.map(watch, range(4)))
    assert said[0]
    assert all(other == said[0] for other in said)
