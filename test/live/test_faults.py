# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What fails is noticed at once; the session then refuses until a reset, which begins on clean memory."""

import math

import pytest
import torch

from videollm_ros.live import (
    ContextLimits,
    FrameDecision,
    NonFiniteError,
    PartialReply,
    SessionBrokenError,
    StreamSession,
    Utterance,
)
from videollm_ros.live.context import StreamContext
from videollm_ros.live.decoder import LlamaDecoder
from videollm_ros.live.rotary import Rotary


def frame(number=0):
    return torch.full((3, 32, 32), 10 * number, dtype=torch.uint8)


@pytest.fixture
def hesitant(compose, lean_towards):
    model = compose()
    return lean_towards(model, {model.template.silence_token_id: 6.5, model.template.eos_token_id: 6.5})


@pytest.fixture
def chatty(compose, lean_towards):
    """Speaks at every frame and never ends a reply."""
    model = compose()
    return lean_towards(model, {model.template.silence_token_id: -99.0, model.template.eos_token_id: -99.0})


@pytest.fixture
def embeds(hesitant):
    generator = torch.Generator().manual_seed(3)
    return torch.randn(12, 3, hesitant.llm.config.hidden_size, generator=generator)


def walk(events):
    """What was said and decided, and the error that ended it."""
    rows = []
    try:
        for event in events:
            if isinstance(event, FrameDecision):
                rows.append((event.stamp, event.speaks, pytest.approx(event.speak_probability, abs=1e-5)))
            elif isinstance(event, Utterance):
                rows.append((event.stamp, event.token_ids))
    except NonFiniteError as error:
        return rows, error
    return rows, None


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("poisoned", [0, 1, 5, 11])
def test_a_frame_that_is_not_finite_ends_the_stream_there_and_spoils_no_frame_before_it(
    hesitant, embeds, poisoned, value
):
    """In one forward the NaN of a later frame reaches the earlier ones, as 0 * NaN of what is masked."""
    stamps = [float(stamp) for stamp in range(12)]
    clean = StreamSession(hesitant, max_new_tokens=4)
    expected, _ = walk(clean.observe_embeds(embeds[:poisoned], stamps[:poisoned]))
    embeds[poisoned, 1, 0] = value
    for size in (1, 12):
        session = StreamSession(hesitant, max_new_tokens=4)
        rows, errors = [], []
        for start in range(0, 12, size):
            more, error = walk(session.observe_embeds(embeds[start:][:size], stamps[start:][:size]))
            rows += more
            errors.append(error)
            if error:
                break
        assert rows == expected
        assert f"the probability of silence at {float(poisoned)} s is nan" in str(errors[-1])
        assert session.state.frames_read == poisoned


def test_a_word_that_is_not_finite_ends_the_stream(chatty):
    session = StreamSession(chatty, max_new_tokens=9)
    events = session.observe_events(frame(), 0.0)
    while not isinstance(next(events), PartialReply):
        pass
    chatty.llm.get_output_embeddings().bias[:] = math.nan
    with pytest.raises(NonFiniteError, match="the largest logit of the next word is nan"):
        list(events)
    assert session.state.broken


def test_after_an_error_everything_is_refused_until_a_reset(chatty, monkeypatch):
    session, fresh = StreamSession(chatty, max_new_tokens=3), StreamSession(chatty, max_new_tokens=3)
    session.observe(frame(), 0.0)
    session.ask("Later?", 9.0, "later")
    with monkeypatch.context() as broken:
        broken.setattr(LlamaDecoder, "read", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            session.observe(frame(1), 0.5)
    for refused in (
        lambda: session.observe(frame(), 1.0),
        lambda: session.observe_many([frame()], [1.0]),
        lambda: list(session.answer(99.0)),
        lambda: session.ask("Now?", 1.0),
    ):
        with pytest.raises(SessionBrokenError, match=r"call reset\(\)"):
            refused()
    assert session.state.broken and session.state.frames_read == 1
    assert [query.query_id for query in session.reset()] == ["later"]
    assert session.state == fresh.state
    assert session.observe(frame(), 0.0) == fresh.observe(frame(), 0.0)


def test_a_reset_erases_the_memory(hesitant, embeds):
    """A CUDA graph attends to a whole bucket: 0 * NaN of what is masked would spoil the next stream."""
    session = StreamSession(hesitant, max_new_tokens=4)
    list(session.observe_embeds(embeds, [float(stamp) for stamp in range(12)]))
    session.reset()
    assert not session._context.cache.memory.any()


def test_what_a_pass_leaves_that_was_given_up_is_erased(hesitant, embeds):
    session = StreamSession(hesitant, max_new_tokens=4)
    embeds[3] = math.nan
    next(session.observe_embeds(embeds, [float(stamp) for stamp in range(12)]))
    assert session._context.cache.memory.isfinite().all()


def test_an_eviction_that_fails_between_two_layers_breaks_the_session(chatty, monkeypatch):
    session = StreamSession(chatty, max_new_tokens=2, context=ContextLimits(max_tokens=100))
    rotate, calls = Rotary.rotate_, []

    def failing(self, keys, rotation):
        calls.append(keys)
        if len(calls) == 2:
            raise torch.OutOfMemoryError("no memory for the second layer")
        rotate(self, keys, rotation)

    monkeypatch.setattr(Rotary, "rotate_", failing)
    with pytest.raises(torch.OutOfMemoryError):
        for stamp in range(99):
            session.observe(frame(stamp % 7), float(stamp))
    with pytest.raises(SessionBrokenError):
        session.observe(frame(), 99.0)


@pytest.mark.parametrize("fails_at", ["prompt", "word"])
def test_a_query_whose_answer_fails_is_returned_by_the_reset(chatty, monkeypatch, fails_at):
    session = StreamSession(chatty, max_new_tokens=5)
    session.observe(frame(), 0.0)
    for name in ("first", "second"):
        session.ask("What is it?", 0.1, name, request=name.upper())
    calls = []
    read_ids = StreamContext.read_ids

    def failing(self, token_ids):
        calls.append(token_ids)
        if (len(calls) == 3) if fails_at == "word" else True:
            raise torch.OutOfMemoryError("no memory")
        return read_ids(self, token_ids)

    monkeypatch.setattr(StreamContext, "read_ids", failing)
    with pytest.raises(torch.OutOfMemoryError):
        session.observe(frame(1), 0.5)
    waiting = session.reset()
    assert [(query.query_id, query.request) for query in waiting] == [("first", "FIRST"), ("second", "SECOND")]
    assert session.reset() == []


def test_an_answer_that_was_abandoned_is_not_returned_by_a_later_reset(chatty, monkeypatch):
    session = StreamSession(chatty, max_new_tokens=5)
    session.ask("What is it?", 0.0, "abandoned")
    events = session.observe_events(frame(), 0.0)
    while not isinstance(next(events), PartialReply):
        pass
    events.close()
    assert session.reset() == []


def test_an_error_behind_the_write_of_a_pass_leaves_nothing_registered(hesitant, embeds, monkeypatch):
    session = StreamSession(hesitant, max_new_tokens=4)
    list(session.observe_embeds(embeds[:1], [0.0]))
    tokens = session.state.tokens
    monkeypatch.setattr("videollm_ros.live.context.predict_silence", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        list(session.observe_embeds(embeds[1:5], [1.0, 2.0, 3.0, 4.0]))
    assert session.state.tokens == tokens


@pytest.mark.parametrize("asked", [False, True])
def test_a_reset_at_a_decision_to_speak_begins_a_new_stream(chatty, asked):
    session, fresh = StreamSession(chatty, max_new_tokens=3), StreamSession(chatty, max_new_tokens=3)
    embeds = chatty.embed(chatty.encode(torch.stack([frame(number) for number in range(3)])))
    if asked:
        session.ask("What is it?", 5.0)
    events = session.observe_embeds(embeds, [5.0, 6.0, 7.0])
    assert next(events).speaks != asked
    session.reset()
    assert list(events) == list(fresh.observe_embeds(embeds[1:], [6.0, 7.0]))
    assert session.state == fresh.state


def test_an_answer_or_a_frame_read_at_a_decision_takes_the_place_of_its_reply(chatty):
    """Nobody should do so; what is in the cache stays true all the same."""
    session = StreamSession(chatty, max_new_tokens=3)
    events = session.observe_events(frame(), 0.0)
    assert next(events).speaks
    session.ask("What is it?", 0.0)
    assert [event.query for event in session.answer(0.0) if isinstance(event, Utterance)] == ["What is it?"]
    assert list(events) == []
    assert len(session.observe(frame(), 1.0)) == 1


def test_frames_that_were_read_ahead_are_read_again_behind_an_answer_in_between(hesitant, embeds):
    stamps = [float(stamp) for stamp in range(8)]
    sessions = [StreamSession(hesitant, threshold=0.0, max_new_tokens=4) for _ in range(2)]
    rows = []
    for session, size in zip(sessions, (1, 8), strict=True):
        probabilities = []
        for start in range(0, 8, size):
            for event in session.observe_embeds(embeds[start:][:size], stamps[start:][:size], may_speak=False):
                probabilities.append(event.speak_probability)
                if event.stamp == 2.0:
                    session.ask("What is it?", 2.0)
                    list(session.answer(2.0))
        rows.append(probabilities)
    assert rows[0] == pytest.approx(rows[1], abs=1e-5)
    assert sessions[0].state == sessions[1].state


def test_frames_that_another_call_has_overtaken_are_refused(hesitant, embeds):
    session = StreamSession(hesitant, max_new_tokens=4)
    events = session.observe_embeds(embeds[:3], [0.0, 1.0, 2.0], may_speak=False)
    next(events)
    list(session.observe_embeds(embeds[3:4], [5.0], may_speak=False))
    with pytest.raises(ValueError, match=r"1\.0 s lies before 5\.0 s, which another call has read"):
        list(events)
    assert session.state.frames_read == 2


@pytest.mark.parametrize("shape", [(2, 2, 32), (2, 3, 31), (3, 32)])
def test_embeddings_of_another_shape_are_refused_and_nothing_read(hesitant, shape):
    session = StreamSession(hesitant)
    with pytest.raises(ValueError, match=r"expected embeddings \[T, 3, 32\], got"):
        list(session.observe_embeds(torch.zeros(shape), [0.0] * shape[0]))
    assert session.state.tokens == 0
