# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which tokens belong to which segment, turn by turn, and what speculation accepts and rolls back."""

import pytest
import torch

from videollm_ros.live import ContextLimits, LiveConfig, StreamSession
from videollm_ros.live.cache import context_size, trained_range
from videollm_ros.live.context import StreamContext
from videollm_ros.live.eviction import SegmentKind
from videollm_ros.live.queries import Query
from videollm_ros.live.speculation import MAX_FRAMES_PER_PASS, ReadAhead
from videollm_ros.live.template import Turn

SYSTEM, INSTRUCTION, FRAME, TEXT = SegmentKind


@pytest.fixture
def model(compose):
    return compose()


@pytest.fixture
def context(model):
    return StreamContext(model, ContextLimits(max_tokens=400))


def read(context, number, start=0.0):
    """Read some frames, all of them speculative."""
    embeds = torch.randn(number, 3, 32)
    stamps = [start + index for index in range(number)]
    assert context.make_room_for_frames(now=stamps[0]) >= number
    return context.read_frames(embeds, stamps)


def accept_all(speculative):
    for _ in range(speculative.num_speculative):
        speculative.accept()


def kinds(context):
    return [(segment.kind, segment.length) for segment in context.cache.segments]


def test_the_opening_of_a_stream_belongs_to_what_stands_before_it(context, model):
    opening = len(model.template.before_frame(Turn.SYSTEM))
    accept_all(read(context, 2))
    assert kinds(context) == [(SYSTEM, opening), (FRAME, 3 + 1), (FRAME, 3)]
    context.begin_reply(None, 5, stamp=1.0)
    reply = len(model.template.before_reply())
    context.set_pending(7)
    context.next_token()
    context.set_pending(8)
    assert kinds(context)[-1] == (TEXT, reply + 1)
    accept_all(read(context, 1, 2.0))
    closing = 1 + len(model.template.before_frame(Turn.ASSISTANT))  # the pending token, <eos>, a line break, [
    assert kinds(context)[-2:] == [(TEXT, reply + 1 + closing), (FRAME, 3)]


@pytest.mark.parametrize("wanted", range(60, 68))
def test_a_full_context_makes_room_for_a_reply_and_for_what_closes_it(model, wanted):
    context = StreamContext(model, ContextLimits(max_tokens=400))
    for stamp in range(100):
        accept_all(read(context, 1, float(stamp)))
    _, limit = context.begin_reply(None, wanted, stamp=100.0)
    closing = 1 + len(model.template.before_frame(Turn.ASSISTANT))  # the pending token, <eos>, a line break, [
    assert limit == wanted and context.cache.room >= limit + closing


def test_a_query_first_leaves_the_system_prompt_a_segment_of_its_own(context, model):
    query = Query("What is it?", 0.0)
    context.begin_reply(query, 5, stamp=0.0)
    system = model.template.num_system_tokens
    asked = len(model.template.before_answer(Turn.SYSTEM, query.text)) - system
    assert kinds(context) == [(SYSTEM, system), (TEXT, asked)]


def test_an_instruction_takes_the_opening_that_follows_it_and_leaves_a_query_alone(context, model):
    context.instruct("Watch out.")
    context.begin_reply(Query("What is it?", 0.0), 5, stamp=0.0)
    (system, instruction, text) = kinds(context)
    assert system == (SYSTEM, model.template.num_system_tokens)
    ids, num_instruction = model.template.instruction(Turn.SYSTEM, "Watch out.", "What is it?")
    assert instruction == (INSTRUCTION, num_instruction - system[1])
    assert text == (TEXT, len(ids) - num_instruction)
    assert model.tokenizer.decode(ids[num_instruction:]).strip() == "User: What is it?\nAssistant:"
    context.set_pending(7)
    context.instruct("Look.")
    accept_all(read(context, 1))
    closing = 2  # the pending token and <eos> belong to the reply that they close
    assert kinds(context)[1:3] == [(TEXT, instruction[1]), (TEXT, text[1] + closing)]
    ids, _ = model.template.instruction(Turn.ASSISTANT, "Look.")
    assert kinds(context)[3:] == [(INSTRUCTION, len(ids) - 1), (FRAME, 3)]


@pytest.mark.parametrize("accepted", [1, 2, 4])
def test_what_is_not_accepted_is_rolled_back_with_the_interval_before_it(context, accepted):
    speculative = read(context, 4)
    for _ in range(accepted):
        speculative.accept()
    speculative.rollback()
    assert [length for kind, length in kinds(context) if kind is FRAME] == [4] * (accepted - 1) + [3]
    before = kinds(context)
    speculative.rollback()
    assert kinds(context) == before


def test_whatever_is_read_next_rolls_back_what_is_speculative(context):
    speculative = read(context, 4)
    speculative.accept()
    context.begin_reply(None, 5, stamp=0.0)
    assert speculative.num_speculative == 0
    assert [kind for kind, _ in kinds(context)] == [SYSTEM, FRAME, TEXT]


def test_a_pass_from_before_a_reset_touches_nothing_after_it(context):
    old = read(context, 3)
    old.accept()
    context.clear()
    accept_all(read(context, 2))
    before = kinds(context)
    old.rollback()
    assert kinds(context) == before


def test_the_read_ahead_grows_while_it_is_quiet_and_falls_to_the_last_silent_run():
    ahead, chosen = ReadAhead(), []
    for _ in range(100):
        ahead.record(silent=True)
        chosen.append(ahead.num_frames)
    assert chosen[:8] == [4, 4, 4, 8, 8, 8, 8, 16]
    assert max(chosen) == MAX_FRAMES_PER_PASS
    for _ in range(6):
        ahead.record(silent=True)
    ahead.record(silent=False)
    assert ahead.num_frames == MAX_FRAMES_PER_PASS
    for _ in range(6):
        ahead.record(silent=True)
    ahead.record(silent=False)
    assert ahead.num_frames == 7
    ahead.record(silent=False)
    assert ahead.num_frames == 4


def test_the_positions_that_training_reached_bound_the_context(random_llm, compose):
    config = random_llm().config  # 2048 positions
    assert context_size(ContextLimits(), config) == 2048
    assert context_size(ContextLimits(), config, max_positions=3000) == 3000
    assert context_size(ContextLimits(), config, max_positions=13200) == 8192  # unless asked for
    assert context_size(ContextLimits(max_tokens=13200), config, max_positions=13200) == 13200
    assert context_size(ContextLimits(max_tokens=2048), config, max_positions=100) == 2048
    with pytest.raises(ValueError, match="13201 lies beyond the 13200 positions"):
        context_size(ContextLimits(max_tokens=13201), config, max_positions=13200)
    config.sliding_window = 512
    assert trained_range(config, max_positions=13200) == 512
    session = StreamSession(compose(random_llm(), max_positions=3000), context=ContextLimits(max_tokens=3000))
    assert session.state.max_tokens == 3000
    session.observe(torch.zeros(3, 32, 32, dtype=torch.uint8), 0.0)


@pytest.mark.parametrize("value", [0, -1, 2.5, True, "many"])
def test_positions_that_are_no_number_of_tokens_are_refused(value):
    with pytest.raises(ValueError, match="max_positions is a number of tokens"):
        LiveConfig(max_positions=value)
