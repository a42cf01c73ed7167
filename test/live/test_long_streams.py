# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A stream goes on for ever in the same memory, and says the same however its frames are read."""

import random

import pytest
import torch

from videollm_ros.live import ContextLimits, FrameDecision, StreamSession, Utterance
from videollm_ros.live.decoder import LlamaDecoder


@pytest.fixture(scope="module")
def talker(compose, lean_towards):
    """A small model that speaks now and then: at about one frame in ten, some replies shorter than others."""
    model = compose()
    return lean_towards(model, {model.template.silence_token_id: 6.5, model.template.eos_token_id: 6.5})


@pytest.fixture(scope="module")
def embeds(talker):
    """Embeddings [64, 3, d] of noise."""
    generator = torch.Generator().manual_seed(3)
    frames = torch.randint(256, (64, 3, 32, 32), dtype=torch.uint8, generator=generator)
    return talker.embed(talker.encode(frames))


TIGHT = ContextLimits(max_tokens=120, vision_seconds=8.0, text_tokens=40)
QUERIES = [(-1.0, "Ready?"), (3.0, "What is it?"), (7.5, "And now?"), (7.5, "Sure?"), (31.0, "Why?"), (50.5, "Where?")]


def session_with_queries(model, threshold):
    session = StreamSession(model, threshold=threshold, max_new_tokens=6, context=TIGHT)
    for stamp, text in QUERIES:
        session.ask(text, stamp)
    return session


def read(session, embeds, sizes):
    """All events but the partial ones, reading so many frames at once."""
    events, start = [], 0
    stamps = [float(stamp) for stamp in range(len(embeds))]
    for size in sizes:
        stop = start + size
        events += session.observe_embeds(embeds[start:stop], stamps[start:stop])
        start = stop
    return [event for event in events if isinstance(event, FrameDecision | Utterance)]


@pytest.fixture(scope="module")
def threshold(talker, embeds):
    """One that a frame in six misses."""
    probe = StreamSession(talker, threshold=0.0, max_new_tokens=6, context=TIGHT)
    decisions = probe.observe_embeds(embeds, [float(stamp) for stamp in range(64)], may_speak=False)
    silences = sorted(1 - decision.speak_probability for decision in decisions)
    return (silences[10] + silences[11]) / 2


@pytest.fixture(scope="module")
def one_by_one(talker, embeds, threshold):
    session = session_with_queries(talker, threshold)
    return read(session, embeds, [1] * 64), session.state


def assert_same(events, state, expected):
    expected_events, expected_state = expected
    assert state == expected_state
    assert [type(event) for event in events] == [type(event) for event in expected_events]
    for event, other in zip(events, expected_events, strict=True):
        assert event.stamp == other.stamp
        assert event.speak_probability == pytest.approx(other.speak_probability, abs=1e-4)
        if isinstance(event, Utterance):
            assert (event.token_ids, event.query) == (other.token_ids, other.query)
            assert event.truncated == other.truncated
        else:
            assert event.speaks == other.speaks


def test_the_stream_to_compare_with_has_everything_in_it(one_by_one):
    events, state = one_by_one
    decisions = [event for event in events if isinstance(event, FrameDecision)]
    utterances = [event for event in events if isinstance(event, Utterance)]
    assert len(decisions) == 64
    assert 4 < sum(decision.speaks for decision in decisions) < 40
    assert sum(utterance.query is not None for utterance in utterances) == len(QUERIES)
    assert {utterance.truncated for utterance in utterances} == {True, False}
    assert state.evictions > 3


@pytest.mark.parametrize("frames_at_once", range(2, 65))
def test_frames_read_together_say_the_same_as_one_by_one(talker, embeds, threshold, one_by_one, frames_at_once):
    session = session_with_queries(talker, threshold)
    sizes = [frames_at_once] * -(-64 // frames_at_once)
    assert_same(read(session, embeds, sizes), session.state, one_by_one)


@pytest.mark.parametrize("seed", range(10))
def test_however_frames_are_grouped_they_say_the_same(talker, embeds, threshold, one_by_one, seed):
    chance, sizes = random.Random(seed), []
    while sum(sizes) < 64:
        sizes.append(min(chance.choice([1, 2, 3, 5, 8, 20]), 64 - sum(sizes)))
    session = session_with_queries(talker, threshold)
    assert_same(read(session, embeds, sizes), session.state, one_by_one)


@pytest.mark.slow
@pytest.mark.parametrize("frames_at_once", [1, 7, 40])
def test_thousands_of_frames_stay_within_the_context(talker, embeds, threshold, frames_at_once):
    session = StreamSession(talker, threshold=threshold, max_new_tokens=6, context=TIGHT)
    chance, decisions, utterances = random.Random(0), 0, 0
    for stamp in range(0, 1200, frames_at_once):
        stamps = [float(stamp + offset) for offset in range(frames_at_once)]
        if chance.random() < 0.05:
            session.ask("What is it now?", chance.choice(stamps))
        for event in session.observe_embeds(embeds[[int(stamp) % 64 for stamp in stamps]], stamps):
            assert session.state.tokens <= TIGHT.max_tokens
            decisions += isinstance(event, FrameDecision)
            utterances += isinstance(event, Utterance)
    state = session.state
    assert decisions == state.frames_read >= 1200
    assert utterances > 60
    assert state.evictions > 30
    assert state.tokens == state.system_tokens + state.frame_tokens + state.text_tokens
    assert state.text_tokens <= TIGHT.text_tokens + TIGHT.max_tokens / 8 + 30


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_a_reply_never_fails_for_lack_of_room(compose, lean_towards, embeds, seed):
    """Queries as long as they may be, replies that never end, limits that change, a context just large enough."""
    chance = random.Random(seed)
    model = compose()
    lean_towards(
        model, {model.template.eos_token_id: -99.0, model.template.silence_token_id: chance.choice([-99.0, 9.0])}
    )
    limit = chance.randrange(1, 20)
    smallest = next(size for size in range(20, 200) if fits(model, limit, size))
    max_tokens = smallest + chance.randrange(40, 90)  # so that there are queries which fit
    session = StreamSession(model, max_new_tokens=limit, context=ContextLimits(max_tokens=max_tokens))
    answered = asked = 0
    for stamp in range(80):
        if chance.random() < 0.5:
            asked += ask_at_length(session, float(stamp) + chance.choice([-0.5, 0.0]))
        if chance.random() < 0.3:
            session.max_new_tokens = chance.randrange(1, limit + 20)
        for event in session.observe_embeds(embeds[stamp % 64][None], [float(stamp)]):
            answered += isinstance(event, Utterance) and event.query is not None
            assert session.state.tokens <= max_tokens
    assert answered == asked > 20
    assert session.state.evictions > 5


def fits(model, max_new_tokens, max_tokens):
    try:
        StreamSession(model, max_new_tokens=max_new_tokens, context=ContextLimits(max_tokens=max_tokens))
    except ValueError:
        return False
    return True


def ask_at_length(session, stamp):
    """Ask the longest query that is accepted; returns whether there was one."""
    for words in range(60, 0, -1):
        try:
            session.ask("a " * words, stamp)
        except ValueError:
            continue
        return True
    return False


def test_the_context_holds_what_was_read_last_at_the_positions_it_has_now(talker, embeds, threshold, monkeypatch):
    """Keys of the first layer depend on their token alone: each cached one is one that was read, moved to its index."""
    session = session_with_queries(talker, threshold)
    layer = talker.llm.model.layers[0]
    fed, decoders = [], set()
    read_by_decoder = LlamaDecoder.read

    def record(decoder, tokens, at=None):
        fed.append(layer.self_attn.k_proj(layer.input_layernorm(tokens)))
        decoders.add(decoder)
        return read_by_decoder(decoder, tokens, at)

    monkeypatch.setattr(LlamaDecoder, "read", record)
    read(session, embeds, [4] * 16)
    (decoder,) = decoders
    cache = decoder.cache
    assert cache.evictions > 3

    heads, head_dim = cache.keys.shape[2], cache.keys.shape[4]
    unrotated = torch.cat(fed).view(-1, heads, head_dim)  # [fed, H, D]
    cos, sin = talker.llm.model.rotary_emb(unrotated, torch.arange(cache.length)[None])  # [1, length, D]
    first, second = unrotated.chunk(2, dim=-1)
    turned = torch.cat((-second, first), dim=-1)
    matched = -1
    for position, key in enumerate(cache.keys[0, 0, :, : cache.length].transpose(0, 1)):
        at_position = unrotated * cos[0, position] + turned * sin[0, position]
        matches = ((at_position - key).abs().amax((1, 2)) < 1e-5).nonzero().flatten()
        later = matches[matches > matched]
        assert len(later), f"the key at {position} is none that was read after the one before it"
        matched = int(later[0])
