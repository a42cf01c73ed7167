# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A standing instruction is read once, not answered, never evicted, and read again after a reset."""

import pytest
import torch

from videollm_ros.live import ContextLimits, FrameDecision, PartialReply, StreamSession, Utterance
from videollm_ros.live.context import StreamContext
from videollm_ros.live.template import Turn

TEXT = "Tell me what I do."


@pytest.fixture
def silent(compose, lean_towards):
    model = compose()
    return lean_towards(model, {model.template.silence_token_id: 99.0})


@pytest.fixture
def fed(monkeypatch):
    """The ids that are read, with a frame as its number of tokens; in order."""
    ids = []
    read_ids, predict = StreamContext.read_ids, StreamContext._predict

    def record_ids(self, token_ids):
        ids.extend(token_ids)
        return read_ids(self, token_ids)

    def record_frames(self, opening, embeds):
        frame = [self._template.frame_token_id] * embeds.shape[1]
        ids.extend(opening)
        for index in range(len(embeds)):
            ids.extend(self._template.interval_ids * (index > 0) + frame)
        return predict(self, opening, embeds)

    monkeypatch.setattr(StreamContext, "read_ids", record_ids)
    monkeypatch.setattr(StreamContext, "_predict", record_frames)
    return ids


def frame(number=0):
    return torch.full((3, 32, 32), 10 * number, dtype=torch.uint8)


INSTRUCTED = {"role": "user", "content": TEXT, "answer": False}
STREAM = {"role": "stream", "num_frames": 1}


@pytest.mark.parametrize("when", ["first", "after a frame", "twice", "before a query", "after a reply"])
def test_the_session_reads_what_the_template_encodes(silent, fed, when):
    session, conversation = StreamSession(silent, max_new_tokens=4), []

    def instruct():
        session.instruct(TEXT)
        conversation.append(INSTRUCTED)

    def ask(stamp):
        session.ask("What is it?", stamp)
        conversation.append({"role": "user", "content": "What is it?"})
        conversation.extend(event for event in session.answer(stamp) if isinstance(event, Utterance))

    if when in ("first", "before a query"):
        instruct()
    if when in ("before a query", "after a reply"):
        ask(0.0)
    if when == "after a reply":
        instruct()
    session.observe(frame(), 1.0)
    conversation.append(STREAM)
    if when in ("after a frame", "twice"):
        instruct()
    session.observe(frame(1), 2.0)
    conversation.append(STREAM)
    if when == "twice":
        session.instruct("Now in French.")
        conversation.append({"role": "user", "content": "Now in French.", "answer": False})
        session.observe(frame(2), 3.0)
        conversation.append(STREAM)

    answers = [message for message in conversation if isinstance(message, Utterance)]
    if not answers:
        assert fed == silent.template.encode(conversation)[0]
        return
    # A reply's tokens are the model's own: encode up to its opening, and from its <eos> on.
    at = conversation.index(answers[0])
    opening = silent.template.encode([*conversation[:at], {"role": "assistant", "content": "x"}])[0]
    opening = opening[: -1 - len(silent.tokenizer(" x", add_special_tokens=False)["input_ids"])]
    rest = silent.template.encode([STREAM, {"role": "assistant", "content": "x"}, *conversation[at + 1 :]])[0]
    eos = silent.template.eos_token_id
    assert fed == [*opening, *answers[0].token_ids, *rest[rest.index(eos) :]]


def test_it_is_not_answered_and_read_once(golden_model, golden_frames):
    session = StreamSession(golden_model, threshold=0.0)
    session.instruct(TEXT)
    assert session.state.tokens == 0
    events = list(session.observe_events(golden_frames[0], 0.0))
    assert isinstance(events[0], FrameDecision) and not [e for e in events if isinstance(e, Utterance) and e.query]
    tokens = session.state.instruction_tokens
    assert tokens == len(golden_model.template.instruction(Turn.SYSTEM, TEXT)[0]) - session.state.system_tokens > 0
    for number in range(1, 5):
        session.observe(golden_frames[number], float(number))
    assert session.state.instruction_tokens == tokens


def test_it_stays_when_everything_else_is_evicted_and_after_a_reset(silent):
    session = StreamSession(silent, max_new_tokens=4, context=ContextLimits(120, vision_seconds=0.0, text_tokens=0))
    session.instruct(TEXT)
    session.observe(frame(), 0.0)
    tokens = session.state.instruction_tokens
    for stamp in range(1, 100):
        session.observe(frame(stamp % 7), float(stamp))
    assert session.state.evictions > 3
    assert session.state.instruction_tokens == tokens
    session.reset()
    assert (session.instruction, session.state.tokens) == (TEXT, 0)
    session.observe(frame(), 0.0)
    assert session.state.instruction_tokens == tokens


def test_a_new_instruction_makes_the_earlier_one_ordinary_text(silent):
    session = StreamSession(silent, max_new_tokens=4)
    session.instruct(TEXT)
    session.observe(frame(), 0.0)
    before = session.state
    session.instruct("Say nothing.")
    session.observe(frame(), 1.0)
    after = session.state
    assert after.text_tokens == before.instruction_tokens
    assert 0 < after.instruction_tokens != before.instruction_tokens
    session.instruct(None)
    session.reset()
    session.observe(frame(), 0.0)
    assert (session.instruction, session.state.instruction_tokens) == (None, 0)


def test_the_same_instruction_again_changes_nothing(silent):
    session = StreamSession(silent, max_new_tokens=4)
    session.instruct(TEXT)
    session.observe(frame(), 0.0)
    session.instruct(f"  {TEXT}\n")
    session.observe(frame(), 1.0)
    assert session.state.text_tokens == 0


def test_one_given_while_frames_are_read_together_comes_as_one_by_one(compose):
    model = compose()
    embeds = model.embed(model.encode(torch.stack([frame(number) for number in range(7)])))
    stamps = [float(number) for number in range(7)]
    probabilities, states = [], []
    for size in (1, 7):
        session = StreamSession(model, max_new_tokens=4)
        for start in range(0, 7, size):
            for event in session.observe_embeds(embeds[start:][:size], stamps[start:][:size], may_speak=False):
                probabilities.append(event.speak_probability)
                if event.stamp == 2.0:
                    session.instruct(TEXT)
        states.append(session.state)
    assert states[0] == states[1]
    assert states[0].instruction_tokens > 0
    assert probabilities[:7] == pytest.approx(probabilities[7:], rel=1e-4)


def test_one_given_while_a_reply_grows_is_read_after_it(compose, lean_towards):
    model = compose()
    lean_towards(model, {model.template.silence_token_id: -99.0, model.template.eos_token_id: -99.0})
    session = StreamSession(model, max_new_tokens=4)
    for event in session.observe_events(frame(), 0.0):
        if isinstance(event, FrameDecision) or (isinstance(event, PartialReply) and len(event.token_ids) == 2):
            session.instruct(f"Number {type(event).__name__}.")
    assert session.state.instruction_tokens == 0
    session.observe(frame(), 1.0)
    assert session.state.instruction_tokens > 0


@pytest.mark.parametrize("text", ["", " \n "])
def test_an_empty_instruction_is_refused(silent, text):
    with pytest.raises(ValueError, match="empty"):
        StreamSession(silent).instruct(text)


def test_one_that_is_too_long_is_refused_with_its_length_and_nothing_changes(silent):
    session = StreamSession(silent, max_new_tokens=4, context=ContextLimits(120))
    session.instruct(TEXT)
    with pytest.raises(ValueError, match=r"the instruction has \d+ tokens; with this context it may have (\d+)"):
        session.instruct("word " * 120)
    assert session.instruction == TEXT
    limit = session.max_new_tokens_limit
    session.instruct(None)
    assert session.max_new_tokens_limit > limit


def test_a_query_that_waits_is_still_answered_after_an_instruction(silent):
    """Room for both, or the instruction is refused: never a query that no longer fits."""
    for words in range(1, 40):
        session = StreamSession(silent, max_new_tokens=4, context=ContextLimits(110))
        session.observe(frame(), 0.0)
        for length in range(20, 0, -1):
            try:
                session.ask("a " * length, 1.0)
                break
            except ValueError:
                continue
        try:
            session.instruct("b " * words)
        except ValueError:
            continue
        assert [answer.query for answer in session.observe(frame(), 2.0)] == [("a " * length).strip()]
