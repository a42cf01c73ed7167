# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The frame gate skips what has not changed, and never a frame that somebody asks about."""

import pytest
import torch

from videollm_ros.live import FrameDecision, NonFiniteError, StreamSession, Utterance
from videollm_ros.live.gate import FrameGate


def scenes(*numbers: int) -> torch.Tensor:
    """Embeddings [T, 2, 8]; the same number is the same scene."""
    torch.manual_seed(0)
    each = torch.randn(max(numbers) + 1, 2, 8)
    return each[list(numbers)]


def test_a_frame_like_the_last_one_read_is_skipped():
    assert FrameGate(0.99).select(scenes(0, 0, 1, 1, 1, 0), [False] * 6) == [0, 2, 5]


def test_a_frame_of_exactly_the_similarity_is_skipped():
    still = torch.eye(2, 8)[None].repeat(2, 1, 1)  # tokens of length one: their cosine is exactly 1
    assert FrameGate(1.0).select(still, [False] * 2) == [0]


def test_slow_change_adds_up_until_a_frame_passes():
    start, end = scenes(0, 1)
    drift = torch.stack([start.lerp(end, step / 20) for step in range(21)])
    passed = FrameGate(0.9).select(drift, [False] * 21)
    assert passed[0] == 0
    assert 2 <= len(passed) < 21


def read_one_by_one(gate: FrameGate, frames: torch.Tensor) -> list[int]:
    """The frames that pass when each one that passes is read before the next is compared."""
    passed = []
    for index, frame in enumerate(frames):
        if gate.select(frame[None], [False]):
            gate.mark_read(frame)
            passed.append(index)
    return passed


def test_one_by_one_and_together_the_same_frames_pass():
    frames = scenes(0, 0, 1, 2, 2, 0)
    assert read_one_by_one(FrameGate(0.99), frames) == FrameGate(0.99).select(frames, [False] * 6) == [0, 2, 3, 5]


def test_slow_change_adds_up_one_by_one_as_well():
    start, end = scenes(0, 1)
    drift = torch.stack([start.lerp(end, step / 20) for step in range(21)])
    assert read_one_by_one(FrameGate(0.9), drift) == FrameGate(0.9).select(drift, [False] * 21)


def test_a_frame_that_passed_but_was_not_read_is_not_compared_with():
    gate = FrameGate(0.99)
    gate.mark_read(scenes(0)[0])
    assert gate.select(scenes(1, 1), [False] * 2) == [0]
    assert gate.select(scenes(1, 0), [False] * 2) == [0, 1]


def test_a_frame_that_is_not_finite_passes_and_so_does_the_next():
    frames = scenes(0, 0, 0)
    frames[1, 0, 0] = torch.nan
    assert FrameGate(0.99).select(frames, [False] * 3) == [0, 1, 2]
    gate = FrameGate(0.99)
    gate.mark_read(frames[1])
    assert gate.select(frames[2:], [False]) == [0]


def test_a_required_frame_passes_however_little_it_differs():
    assert FrameGate(0.99).select(scenes(0, 0, 0), [False, True, False]) == [0, 1]


def test_after_a_reset_the_first_frame_passes():
    gate = FrameGate(0.99)
    gate.mark_read(scenes(0)[0])
    assert gate.select(scenes(0), [False]) == []
    gate.reset()
    assert gate.select(scenes(0), [False]) == [0]


@pytest.mark.parametrize("similarity", [-0.1, 0.0, 1.1, float("nan")])
def test_a_similarity_that_is_no_cosine_is_refused(similarity):
    with pytest.raises(ValueError, match="cosine"):
        FrameGate(similarity)


def test_a_gated_session_reads_fewer_frames_and_still_answers(golden_model, golden_frames):
    still = golden_frames[:1].expand(8, -1, -1, -1)
    session = StreamSession(golden_model, frame_gate=0.999)
    session.ask("What is it now?", 2.0)
    utterances = session.observe_many(still, [index / 2 for index in range(8)])
    assert session.state.frames_read + session.state.frames_skipped == 8
    assert session.state.frames_skipped >= 5
    assert [utterance.query for utterance in utterances if utterance.query] == ["What is it now?"]


@pytest.mark.slow
@pytest.mark.parametrize("frames_at_once", [2, 5, 24])
def test_a_gated_session_says_the_same_however_frames_are_read(golden_model, golden_frames, frames_at_once):
    def said(size):
        session = StreamSession(golden_model, frame_gate=0.98)
        for stamp in (1.0, 3.25, 7.0):
            session.ask("What is it now?", stamp)
        utterances = []
        for start in range(0, 24, size):
            stamps = [index / 2 for index in range(start, min(start + size, 24))]
            utterances += session.observe_many(golden_frames[start : start + size], stamps)
        return [(utterance.stamp, utterance.query, utterance.text) for utterance in utterances], session.state

    assert said(frames_at_once) == said(1)
    assert said(1)[1].frames_skipped > 0


def read_all(session, embeds, stamps, at=None, do=None):
    """The stamps of the decisions, and the queries of the answers; `do` happens at the decision of the stamp `at`."""
    happened = []
    for event in session.observe_embeds(embeds, stamps, may_speak=False):
        if isinstance(event, FrameDecision):
            happened.append(event.stamp)
            if event.stamp == at:
                do()
        elif isinstance(event, Utterance):
            happened.append(event.query)
    return happened


@pytest.fixture
def embeds(golden_model, golden_frames):
    """Two scenes: frames 0 to 5 of the one, 6 to 9 of the other."""
    frames = golden_model.embed(golden_model.encode(golden_frames[[0, 12]]))
    return frames[[0] * 6 + [1] * 4]


STAMPS = [float(stamp) for stamp in range(10)]


@pytest.mark.parametrize("query_stamp", [3.0, 2.5])
@pytest.mark.parametrize("frames_at_once", [1, 10])
def test_a_query_asked_while_frames_are_read_rescues_its_frame(golden_model, embeds, query_stamp, frames_at_once):
    session, happened = StreamSession(golden_model, max_new_tokens=4, frame_gate=0.99), []
    for start in range(0, 10, frames_at_once):
        batch = slice(start, start + frames_at_once)
        happened += read_all(
            session, embeds[batch], STAMPS[batch], at=0.0, do=lambda: session.ask("What is it?", query_stamp)
        )
    answered = [3.0, "What is it?"] if query_stamp == 3.0 else ["What is it?", 3.0]
    assert happened == [0.0, *answered, 6.0]
    assert (session.state.frames_read, session.state.frames_skipped) == (3, 7)


def test_a_frame_that_was_selected_but_not_read_is_not_compared_with(golden_model, embeds):
    session = StreamSession(golden_model, frame_gate=0.99)
    events = session.observe_embeds(embeds[4:8], STAMPS[4:8], may_speak=False)
    assert next(events).stamp == 4.0
    events.close()  # frame 6 was selected with frame 4
    assert session.state.frames_skipped == 0
    assert read_all(session, embeds[6:8], STAMPS[6:8]) == [6.0]


def test_a_reset_in_the_middle_lets_the_next_frame_pass(golden_model, embeds):
    session = StreamSession(golden_model, frame_gate=0.99)
    assert read_all(session, embeds, STAMPS, at=0.0, do=session.reset) == [0.0, 1.0, 6.0]
    session.reset()
    assert read_all(session, embeds[6:7], [0.0]) == [0.0]


def test_a_frame_that_is_not_finite_is_read_and_noticed(golden_model, embeds):
    session = StreamSession(golden_model, frame_gate=0.99)
    spoiled = embeds.clone()
    spoiled[3] = torch.nan
    with pytest.raises(NonFiniteError, match=r"at 3\.0 s"):
        read_all(session, spoiled, STAMPS)
    assert session.state.frames_read == 1
