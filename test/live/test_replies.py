# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Replies grow token by token, can be cut off anywhere, and always leave a stream that goes on."""

from itertools import pairwise

import pytest
import torch

from videollm_ros.live import ContextLimits, FrameDecision, PartialReply, StreamSession, Utterance
from videollm_ros.live.template import Turn


def frame(number=0):
    return torch.full((3, 32, 32), 10 * number, dtype=torch.uint8)


@pytest.fixture
def chatty(compose, lean_towards):
    """A model that speaks at every frame and never ends a reply."""
    model = compose()
    return lean_towards(model, {model.template.silence_token_id: -99.0, model.template.eos_token_id: -99.0})


def transcript(events):
    return [(event.token_ids, event.stamp, event.truncated) for event in events if isinstance(event, Utterance)]


def test_a_reply_grows_by_a_token_per_event(golden_model, golden_frames):
    session = StreamSession(golden_model)
    session.ask("What is it now?", 0.0, query_id="q")
    partial_texts, partial_lengths = [], []
    for event in session.observe_events(golden_frames[0], 0.0):
        if isinstance(event, PartialReply):
            assert (event.stamp, event.query, event.query_id) == (0.0, "What is it now?", "q")
            partial_texts.append(event.text)
            partial_lengths.append(len(event.token_ids))
    assert partial_lengths == list(range(1, len(event.token_ids) + 1))
    assert all(later.startswith(earlier) for earlier, later in pairwise(partial_texts))
    assert partial_texts[-1] == event.text
    assert not event.truncated


def test_half_a_letter_is_not_shown(tokenizer):
    token_ids = tokenizer("caf\N{LATIN SMALL LETTER E WITH ACUTE} \N{FORK AND KNIFE}", add_special_tokens=False)[
        "input_ids"
    ]
    partials = [PartialReply(0.0, None, "", 1.0, token_ids[:n], tokenizer).text for n in range(len(token_ids) + 1)]
    assert partials[-1] == "caf\N{LATIN SMALL LETTER E WITH ACUTE} \N{FORK AND KNIFE}"
    assert not any("\ufffd" in text for text in partials)


@pytest.mark.parametrize("token", ["]", "[", "a", "<|eot_id|>", "<|begin_of_text|>", "<|end_of_text|>"])
def test_any_token_but_silence_opens_a_reply(compose, lean_towards, token):
    model = compose()
    token_id = model.tokenizer.convert_tokens_to_ids(token)
    session = StreamSession(lean_towards(model, {token_id: 99.0}), threshold=0.0, max_new_tokens=3)
    decision, *_, utterance = session.observe_events(frame(), 0.0)
    assert decision.speaks
    assert utterance.token_ids == (() if token_id == model.template.eos_token_id else (token_id,) * 3)
    assert not [
        event for event in session.observe_events(frame(), 0.5, may_speak=False) if isinstance(event, Utterance)
    ]


def test_a_likely_silence_below_the_threshold_gives_way_to_the_best_of_the_rest(compose, lean_towards):
    model = compose()
    silence, letter = model.template.silence_token_id, model.tokenizer.convert_tokens_to_ids("a")
    lean_towards(model, {silence: 60.0, letter: 59.0})  # p(silence) around 0.7
    (probe,) = StreamSession(model).observe_events(frame(), 0.0, may_speak=False)
    p_silence = 1 - probe.speak_probability
    assert 0.3 < p_silence < 0.99
    (decision,) = StreamSession(model, threshold=p_silence - 1e-3).observe_events(frame(), 0.0)
    assert not decision.speaks
    decision, *_ = StreamSession(model, threshold=p_silence + 1e-3, max_new_tokens=2).observe_events(frame(), 0.0)
    assert decision.speaks


def test_a_reply_that_reaches_its_limit_is_closed_and_marked(chatty):
    session = StreamSession(chatty, max_new_tokens=5)
    (utterance,) = session.observe(frame(), 0.0)
    assert utterance.truncated
    assert len(utterance.token_ids) == 5
    before = session.state.tokens
    (second,) = session.observe(frame(1), 0.5)
    assert second.truncated
    template = session.model.template
    # The last token of the first reply, its <eos> and the new stream are read before the frame; then the second reply.
    opening = 1 + len(template.before_frame(Turn.ASSISTANT)) + chatty.config.frame_num_tokens
    assert session.state.tokens - before == opening + len(template.before_reply()) + 4


def test_a_reply_of_one_token_is_possible(chatty):
    session = StreamSession(chatty, max_new_tokens=1)
    assert [len(session.observe(frame(i), float(i))[0].token_ids) for i in range(3)] == [1, 1, 1]


def test_stop_closes_the_reply_at_the_next_event(chatty):
    session = StreamSession(chatty, max_new_tokens=9)
    events = session.observe_events(frame(), 0.0)
    partials = [event for event in (next(events) for _ in range(4)) if isinstance(event, PartialReply)]
    session.stop_reply()
    (utterance,) = events
    assert utterance.token_ids == tuple(partials[-1].token_ids) and len(utterance.token_ids) == 3
    assert utterance.truncated


@pytest.mark.parametrize("asked", [False, True])
def test_stop_between_a_decision_and_its_first_token_ends_the_reply_without_one(chatty, asked):
    session = StreamSession(chatty, max_new_tokens=9)
    if asked:
        session.ask("one?", 0.0, "1")
        session.ask("two?", 0.0, "2")
    events = session.observe_events(frame(), 0.0)
    next(events)
    tokens = session.state.tokens
    session.stop_reply()
    utterance = next(events)
    assert (utterance.token_ids, utterance.truncated, utterance.query) == ((), True, "one?" if asked else None)
    assert session.state.tokens == tokens
    rest = [event for event in events if isinstance(event, Utterance)]
    assert [(one.query, len(one.token_ids)) for one in rest] == ([("two?", 9)] if asked else [])
    assert [len(one.token_ids) for one in session.observe(frame(), 0.5)] == [9]


def test_stop_for_a_reply_that_was_then_left_does_not_touch_the_next_one(chatty):
    session = StreamSession(chatty, max_new_tokens=9)
    events = session.observe_events(frame(), 0.0)
    next(events)
    session.stop_reply()
    events.close()
    session.ask("What is it?", 0.0)
    assert [len(event.token_ids) for event in session.answer(0.0) if isinstance(event, Utterance)] == [9]


def test_stop_without_a_reply_does_not_touch_the_next_one(chatty):
    session = StreamSession(chatty, max_new_tokens=9)
    session.observe(frame(), 0.0)
    session.stop_reply()
    (utterance,) = session.observe(frame(), 0.5)
    assert len(utterance.token_ids) == 9


def cut_off(session, stop, tokens):
    """Let a reply begin and cut it off after some tokens."""
    events = session.observe_events(frame(), 0.0)
    while not isinstance(event := next(events), PartialReply) or len(event.token_ids) < tokens:
        pass
    if stop == "stopped":
        session.stop_reply()
        list(events)
    else:
        events.close()


@pytest.mark.parametrize("stop", ["stopped", "abandoned"])
@pytest.mark.parametrize("tokens", [1, 3])
def test_a_stream_goes_on_after_a_reply_was_cut_off_as_after_one_that_reached_its_limit(chatty, stop, tokens):
    cut, limited = StreamSession(chatty, max_new_tokens=9), StreamSession(chatty, max_new_tokens=tokens)
    cut_off(cut, stop, tokens)
    limited.observe(frame(), 0.0)
    limited.max_new_tokens = 9
    for session in (cut, limited):
        session.ask("What is it?", 0.7)
    later = [session.observe_many([frame(1), frame(2)], [0.5, 1.0]) for session in (cut, limited)]
    assert transcript(later[0]) == transcript(later[1])
    assert len(later[0]) == 3


@pytest.mark.parametrize("decisions", [1, 2, 5])
def test_frames_behind_an_abandoned_one_were_never_read(compose, lean_towards, decisions):
    model = compose()
    lean_towards(model, {model.template.silence_token_id: 99.0})
    frames = torch.stack([frame(number) for number in range(6)])
    embeds, stamps = model.embed(model.encode(frames)), [float(number) for number in range(6)]
    abandoned, fresh = StreamSession(model), StreamSession(model)
    events = abandoned.observe_embeds(embeds, stamps)
    for _ in range(decisions):
        next(events)
    events.close()
    list(fresh.observe_embeds(embeds[:decisions], stamps[:decisions]))
    assert abandoned.state == fresh.state
    rest = [list(session.observe_embeds(embeds[decisions:], stamps[decisions:])) for session in (abandoned, fresh)]
    assert [event.speak_probability for event in rest[0]] == pytest.approx(
        [event.speak_probability for event in rest[1]], abs=1e-6
    )


def test_an_abandoned_decision_to_speak_leaves_the_frame_read_and_nothing_said(chatty):
    session = StreamSession(chatty, max_new_tokens=9)
    events = session.observe_events(frame(), 0.0)
    assert next(events).speaks
    events.close()
    assert session.state.frames_read == 1
    assert len(session.observe(frame(), 0.5)) == 1


@pytest.mark.parametrize("raised", [5, 30])
def test_the_limit_may_be_raised_while_a_reply_grows(chatty, raised):
    """It holds for the next reply: room was made for this one, whatever fills the context."""
    session = StreamSession(chatty, max_new_tokens=2, context=ContextLimits(max_tokens=120))
    for number in range(60):
        session.max_new_tokens = 2
        for event in session.observe_events(frame(number % 5), float(number)):
            if isinstance(event, PartialReply):
                session.max_new_tokens = raised
            elif isinstance(event, Utterance):
                assert len(event.token_ids) == 2
        assert session.state.tokens <= 120


def test_a_reset_while_a_reply_grows_ends_it_and_begins_a_new_stream(chatty):
    session, fresh = StreamSession(chatty, max_new_tokens=9), StreamSession(chatty, max_new_tokens=9)
    embeds = chatty.embed(chatty.encode(torch.stack([frame(number) for number in range(3)])))
    events = session.observe_embeds(embeds, [5.0, 6.0, 7.0])
    while not isinstance(next(events), PartialReply):
        pass
    session.reset()
    utterance, *later = events
    assert utterance.truncated
    assert transcript(later) == transcript(fresh.observe_embeds(embeds[1:], [6.0, 7.0]))


def test_a_reset_while_frames_wait_begins_a_new_stream(compose, lean_towards):
    model = compose()
    lean_towards(model, {model.template.silence_token_id: 99.0})
    session, fresh = StreamSession(model), StreamSession(model)
    embeds = model.embed(model.encode(torch.stack([frame(number) for number in range(4)])))
    events = session.observe_embeds(embeds, [5.0, 6.0, 7.0, 8.0])
    next(events)
    session.reset()
    list(events)
    list(fresh.observe_embeds(embeds[1:], [6.0, 7.0, 8.0]))
    assert session.state == fresh.state


@pytest.mark.parametrize("drop", ["closed", "kept"])
def test_after_a_reset_a_stream_that_was_abandoned_does_not_matter(chatty, drop):
    session, fresh = StreamSession(chatty, max_new_tokens=9), StreamSession(chatty, max_new_tokens=9)
    events = session.observe_events(frame(), 5.0)
    while not isinstance(next(events), PartialReply):
        pass
    session.reset()
    if drop == "closed":
        events.close()
    assert transcript(session.observe(frame(1), 0.0)) == transcript(fresh.observe(frame(1), 0.0))


def test_the_limit_may_be_raised_while_a_long_query_waits(chatty):
    session = StreamSession(chatty, max_new_tokens=1, context=ContextLimits(max_tokens=80))
    session.observe(frame(), 0.0)
    words = 1
    while True:
        try:
            session.ask("a " * words, 0.5)
            words += 1
        except ValueError:
            break
    session.max_new_tokens = 20
    answers = session.observe(frame(), 1.0)
    assert len(answers) == words
    assert session.state.tokens <= 80


def test_a_decision_has_the_probability_of_not_being_silent(golden_model, golden_frames):
    session = StreamSession(golden_model, threshold=0.0)
    events = [event for i, seen in enumerate(golden_frames) for event in session.observe_events(seen, i / 2)]
    decisions = {event.stamp: event for event in events if isinstance(event, FrameDecision)}
    proactive = [event for event in events if isinstance(event, Utterance)]
    assert proactive
    for utterance in proactive:
        assert utterance.speak_probability == decisions[utterance.stamp].speak_probability > 0.5
