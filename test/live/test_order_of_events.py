# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""When queries are answered and frames decided: by their stamps, whatever is asked when and however frames are read."""

import pytest
import torch

from videollm_ros.live import FrameDecision, PartialReply, StreamSession, Utterance


@pytest.fixture
def session(golden_model):
    return StreamSession(golden_model)


@pytest.fixture
def silent(compose, lean_towards):
    """A session that says nothing proactive and answers with two tokens."""
    model = compose()
    return StreamSession(lean_towards(model, {model.template.silence_token_id: 99.0}), max_new_tokens=2)


def order(events):
    """What happened, in order: the stamp of each frame decided, the query of each answer, None for proactive speech."""
    events = [event for event in events if not isinstance(event, PartialReply)]
    return [event.stamp if isinstance(event, FrameDecision) else event.query for event in events]


def frame(number=0):
    return torch.full((3, 32, 32), 10 * number, dtype=torch.uint8)


def test_a_query_stamped_before_the_next_frame_is_answered_before_it(silent):
    silent.observe(frame(), 0.0)
    silent.ask("What is it?", 0.25)
    assert order(silent.observe_events(frame(), 0.5)) == ["What is it?", 0.5]


def test_a_query_stamped_at_the_frame_is_answered_right_after_it(silent):
    silent.ask("What is it?", 0.5)
    assert order(silent.observe_events(frame(), 0.5)) == [0.5, "What is it?"]


def test_a_query_waits_for_its_frame(silent):
    silent.ask("What is it?", 1.0)
    assert order(silent.observe_events(frame(), 0.5)) == [0.5]
    assert silent.state.queries_waiting == 1
    assert order(silent.observe_events(frame(), 1.5)) == ["What is it?", 1.5]


def test_an_answer_takes_the_place_of_the_frames_own_decision(golden_model, golden_frames):
    alone, asked = StreamSession(golden_model), StreamSession(golden_model)
    asked.ask("What is it now?", 2.0)
    for stream in (alone, asked):
        stream.observe_many(golden_frames[:4], [0.0, 0.5, 1.0, 1.5])
    proactive, decisions = alone.observe(golden_frames[4], 2.0), list(asked.observe_events(golden_frames[4], 2.0))
    assert [utterance.query for utterance in proactive] == [None]  # it would have spoken
    assert order(decisions) == [2.0, "What is it now?"]
    assert not decisions[0].speaks


def test_queries_are_answered_by_their_stamps_and_then_as_they_came(silent):
    for text, stamp in [("third?", 0.5), ("first?", 0.1), ("fourth?", 0.5), ("second?", 0.2)]:
        silent.ask(text, stamp)
    assert order(silent.observe_events(frame(), 0.5)) == ["first?", "second?", 0.5, "third?", "fourth?"]


def test_a_query_before_the_first_frame_is_answered_first_with_its_own_stamp(silent):
    silent.ask("Anyone there?", -1.0, query_id="a")
    events = list(silent.observe_events(frame(), 0.0))
    assert order(events) == ["Anyone there?", 0.0]
    answer = next(event for event in events if isinstance(event, Utterance))
    assert (answer.stamp, answer.query_id, answer.speak_probability) == (-1.0, "a", 1.0)


def test_an_answer_has_the_stamp_of_the_last_frame_read(silent):
    silent.observe(frame(), 3.0)
    silent.ask("What is it?", 4.0)
    (answer,) = silent.observe(frame(), 5.0)
    assert answer.stamp == 3.0


def test_queries_that_are_due_can_be_answered_without_a_frame(silent):
    silent.ask("now?", 1.0)
    silent.ask("later?", 2.0)
    assert order(silent.answer(1.5)) == ["now?"]
    assert silent.state.queries_waiting == 1


def test_a_withdrawn_query_is_not_answered(silent):
    silent.ask("one?", 0.1, query_id="1")
    silent.ask("two?", 0.2, query_id="2")
    assert silent.withdraw("1")
    assert not silent.withdraw("1")
    assert order(silent.observe_events(frame(), 0.5)) == ["two?", 0.5]


@pytest.mark.parametrize("query_stamp", [0.0, 1.0, 1.5, 2.0, 3.5, 6.0])
@pytest.mark.parametrize("asked_after", [0, 1, 3])
def test_a_query_asked_while_frames_are_read_together_comes_as_one_by_one(silent, query_stamp, asked_after):
    frames = torch.stack([frame(number) for number in range(7)])
    one_by_one = []
    for number in range(7):
        for event in silent.observe_events(frames[number], float(number)):
            one_by_one.append(event)
            if isinstance(event, FrameDecision) and event.stamp == asked_after:
                silent.ask("What is it?", query_stamp)
    silent.reset()
    together = []
    embeds = silent.model.embed(silent.model.encode(frames))
    for event in silent.observe_embeds(embeds, [float(number) for number in range(7)]):
        together.append(event)
        if isinstance(event, FrameDecision) and event.stamp == asked_after:
            silent.ask("What is it?", query_stamp)
    assert order(together) == order(one_by_one)
    answers = [[e.token_ids for e in events if isinstance(e, Utterance)] for events in (together, one_by_one)]
    assert answers[0] == answers[1]


def test_every_frame_has_one_decision_with_the_threshold_it_was_made_by(session, golden_frames):
    session.threshold = 0.5
    embeds = session.model.embed(session.model.encode(golden_frames))
    decisions = []
    for event in session.observe_embeds(embeds, list(range(24))):
        if isinstance(event, FrameDecision):
            decisions.append(event)
            session.threshold = 0.9 if len(decisions) >= 6 else 0.5
    assert [decision.stamp for decision in decisions] == list(range(24))
    assert all(decision.speaks == (1 - decision.speak_probability < decision.threshold) for decision in decisions)


def test_a_muted_frame_is_read_and_silent_and_its_query_answered(session, golden_frames):
    stamps = [number / 2 for number in range(5)]
    for stamp, seen in zip(stamps, golden_frames, strict=False):
        (decision,) = session.observe_events(seen, stamp, may_speak=False)
        assert not decision.speaks
    assert decision.speak_probability > 0.5  # it would have spoken
    assert session.state.frames_read == 5
    session.ask("What is it now?", 2.5)
    assert order(session.observe_events(golden_frames[5], 2.5, may_speak=False)) == [2.5, "What is it now?"]


def test_permission_to_speak_is_asked_frame_by_frame_after_what_came_before(session, golden_frames):
    happened = []

    def may_speak(stamp):
        happened.append(("may it?", stamp))
        return True

    embeds = session.model.embed(session.model.encode(golden_frames))
    for event in session.observe_embeds(embeds, list(range(24)), may_speak):
        if not isinstance(event, PartialReply):
            happened.append((type(event).__name__, event.stamp))
    frames_asked = [stamp for what, stamp in happened if what == "may it?"]
    assert frames_asked == list(range(24))
    assert [stamp for _, stamp in happened] == sorted(stamp for _, stamp in happened)
