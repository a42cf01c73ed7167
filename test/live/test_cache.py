# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is evicted and in which order, and that kept keys are those of their new positions."""

import inspect
import random
from operator import itemgetter

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Phi3Config, Phi3ForCausalLM, Qwen3Config, Qwen3ForCausalLM

from videollm_ros.live import ContextLimits
from videollm_ros.live.cache import StreamCache
from videollm_ros.live.eviction import SegmentKind
from videollm_ros.live.rotary import Rotary

SYSTEM, FRAME, TEXT = SegmentKind.SYSTEM, SegmentKind.FRAME, SegmentKind.TEXT


class RecordedCache:
    """A cache together with the unrotated keys of what was written into it, by segment."""

    def __init__(self, llm, dtype=torch.float32, **limits):
        self.llm = llm
        self.cache = StreamCache(llm.config, ContextLimits(**limits), Rotary(llm), dtype)
        self._unrotated = {}
        self._generator = torch.Generator().manual_seed(0)

    def write(self, kind, length, stamp=0.0):
        """Random keys and values behind what is there, rotated by the decoder's own code."""
        cache = self.cache
        layers, _, heads, _, head_dim = cache.keys.shape
        unrotated = torch.randn(layers, heads, length, head_dim, generator=self._generator)
        place = slice(cache.length, cache.length + length)
        cache.keys[:, 0, :, place] = self.at_positions(unrotated, place.start)
        cache.values[:, 0, :, place] = unrotated
        cache.append(kind, length, stamp)
        self._unrotated[id(cache.segments[-1])] = (cache.segments[-1], unrotated)

    def at_positions(self, unrotated, start):
        """Keys [layers, heads, L, D] as the decoder computes them at positions from `start` on."""
        rotate = inspect.getmodule(type(self.llm)).apply_rotary_pos_emb
        positions = torch.arange(start, start + unrotated.shape[-2])[None]
        cos, sin = self.llm.model.rotary_emb(unrotated, positions)
        return rotate(unrotated, unrotated, cos, sin)[1]

    def unrotated(self):
        """Of everything that is cached, in order: [layers, heads, length, D]."""
        return torch.cat([self._unrotated[id(segment)][1] for segment in self.cache.segments], dim=2)

    def kept(self):
        return [(segment.kind, segment.stamp) for segment in self.cache.segments]


@pytest.fixture
def recorded(random_llm):
    return lambda **limits: RecordedCache(random_llm(), **limits)


def fill(recorded, frames=(), texts=(), frame_length=10, text_length=10):
    """A system prompt, then frames and texts by their stamps."""
    recorded.write(SYSTEM, 10)
    for stamp, kind in sorted(
        [*((stamp, FRAME) for stamp in frames), *((stamp, TEXT) for stamp in texts)], key=itemgetter(0)
    ):
        recorded.write(kind, frame_length if kind is FRAME else text_length, stamp)
    return recorded


def test_nothing_is_evicted_while_there_is_room(recorded):
    cache = fill(recorded(max_tokens=100, vision_seconds=1, text_tokens=0), frames=range(4), texts=[4, 5]).cache
    cache.make_room(30, now=1000.0)
    assert (cache.length, cache.evictions) == (70, 0)


def test_frames_older_than_the_vision_seconds_go_first_and_all_at_once(recorded):
    filled = fill(recorded(max_tokens=100, vision_seconds=3.0), frames=[1, 2, 3, 5, 6, 7], texts=[0, 4])
    filled.cache.make_room(20, now=7.0)
    assert filled.kept() == [(SYSTEM, 0), (TEXT, 0), (TEXT, 4), (FRAME, 5), (FRAME, 6), (FRAME, 7)]


def test_text_beyond_its_tokens_goes_next_and_the_oldest_of_it(recorded):
    filled = fill(recorded(max_tokens=100, vision_seconds=99, text_tokens=20), frames=[1, 3, 5, 9], texts=[0, 2, 4, 6])
    filled.cache.make_room(20, now=9.0)
    assert filled.kept() == [(SYSTEM, 0), (FRAME, 1), (FRAME, 3), (TEXT, 4), (FRAME, 5), (TEXT, 6), (FRAME, 9)]


def test_then_the_oldest_frames_go_until_a_block_is_free(recorded):
    filled = fill(recorded(max_tokens=200, vision_seconds=99), frames=range(2, 19), texts=[0, 1])
    filled.cache.make_room(11, now=19.0)
    assert filled.cache.room >= 200 / 8
    assert filled.kept() == [(SYSTEM, 0), (TEXT, 0), (TEXT, 1), *[(FRAME, stamp) for stamp in range(5, 19)]]


def test_text_goes_last_and_only_what_must(recorded):
    filled = fill(
        recorded(max_tokens=100, vision_seconds=99, text_tokens=1000), frames=[1, 8], texts=[0, 2, 3, 4, 5, 6, 7]
    )
    filled.cache.make_room(30, now=8.0)
    assert filled.kept() == [(SYSTEM, 0), *[(TEXT, stamp) for stamp in (2, 3, 4, 5, 6, 7)][1:], (FRAME, 8)]


def test_the_system_prompt_and_the_newest_segment_stay_whatever_is_needed(recorded):
    filled = fill(recorded(max_tokens=100, vision_seconds=0, text_tokens=0), frames=range(8), texts=[9])
    filled.cache.make_room(80, now=1000.0)
    assert filled.kept() == [(SYSTEM, 0), (TEXT, 9)]


def test_room_that_cannot_be_made_is_refused_and_nothing_evicted(recorded):
    filled = fill(recorded(max_tokens=100), frames=range(8))
    with pytest.raises(ValueError, match=r"81 tokens do not fit: context.max_tokens is 100, of which 20 must stay"):
        filled.cache.make_room(81, now=8.0)
    assert (filled.cache.length, filled.cache.evictions) == (90, 0)


def test_what_was_evicted_is_counted(recorded):
    cache = fill(recorded(max_tokens=100, vision_seconds=3.0), frames=range(9)).cache
    cache.make_room(1, now=8.0)
    assert cache.room >= 1
    cache.make_room(60, now=8.0)
    assert cache.evictions == 2
    assert cache.evicted_tokens == 100 - cache.length
    assert cache.oldest_frame == next(segment.stamp for segment in cache.segments if segment.kind is FRAME)


@pytest.mark.parametrize("seed", range(30))
def test_whatever_happens_segments_stay_whole_and_in_order_and_contiguous(random_llm, seed):
    chance = random.Random(seed)
    llm = random_llm(num_hidden_layers=1)
    limits = {"vision_seconds": chance.choice([0, 5, 1e9]), "text_tokens": chance.choice([0, 30, 1000])}
    recorded = RecordedCache(llm, max_tokens=chance.randrange(80, 200), **limits)
    cache = recorded.cache
    recorded.write(SYSTEM, 10)
    for stamp in range(150):
        length = chance.choice([1, 4, 11, 30])
        whole = [(id(segment), segment.length) for segment in cache.segments]
        cache.make_room(length, now=stamp)
        left = iter(whole)
        assert all((id(segment), segment.length) in left for segment in cache.segments)  # a subsequence
        assert cache.segments[0].kind is SYSTEM
        recorded.write(chance.choice([FRAME, FRAME, TEXT]), length, stamp)
        assert cache.length == sum(segment.length for segment in cache.segments) <= cache.max_tokens
    unrotated = recorded.unrotated()
    torch.testing.assert_close(cache.values[:, 0, :, : cache.length], unrotated, rtol=0, atol=0)
    expected = recorded.at_positions(unrotated, 0)
    torch.testing.assert_close(cache.keys[:, 0, :, : cache.length], expected, rtol=0, atol=1e-5)
    assert cache.evictions > 3


LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 1024,
}
ROPES = {
    "default": (LlamaForCausalLM, LlamaConfig, {"rope_parameters": {"rope_type": "default", "rope_theta": 500000.0}}),
    "llama3": (LlamaForCausalLM, LlamaConfig, {"rope_parameters": LLAMA3_ROPE}),
    "linear": (
        LlamaForCausalLM,
        LlamaConfig,
        {"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "factor": 4.0}},
    ),
    "yarn": (
        LlamaForCausalLM,
        LlamaConfig,
        {
            "rope_parameters": {
                "rope_type": "yarn",
                "rope_theta": 1e4,
                "factor": 8.0,
                "original_max_position_embeddings": 1024,
            }
        },
    ),
    "a part of the head": (
        Phi3ForCausalLM,
        Phi3Config,
        {
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5},
            "pad_token_id": 0,
        },
    ),
    "heads of 80": (Qwen3ForCausalLM, Qwen3Config, {"head_dim": 80}),
}


@pytest.mark.parametrize("rope", ROPES)
@pytest.mark.parametrize("max_tokens", [100, 8192])
def test_kept_keys_are_the_unrotated_ones_rotated_to_their_new_positions(random_llm, rope, max_tokens):
    llm_class, config_class, options = ROPES[rope]
    llm = random_llm(llm_class, config_class, max_position_embeddings=8192, **options)
    recorded = RecordedCache(llm, max_tokens=max_tokens, vision_seconds=0.0)
    cache, length = recorded.cache, max_tokens // 20
    recorded.write(SYSTEM, length)
    for stamp in range(90):
        cache.make_room(length, now=stamp if stamp % 7 == 0 else 0.0)
        recorded.write(TEXT if stamp % 10 == 0 else FRAME, length, stamp)
    assert cache.evictions >= 10
    expected = recorded.at_positions(recorded.unrotated(), 0)
    torch.testing.assert_close(cache.keys[:, 0, :, : cache.length], expected, rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_rounding_does_not_add_up_over_thousands_of_evictions(random_llm, dtype):
    """What is kept moves to the front in a few steps and stays there, so that a key is rounded a few times only."""
    recorded = RecordedCache(random_llm(num_hidden_layers=1), dtype, max_tokens=512, text_tokens=128)
    cache = recorded.cache
    recorded.write(SYSTEM, 8)
    recorded.write(TEXT, 16, 0.0)
    worst = 0.0
    for stamp in range(3600):
        kind, length = (TEXT, 12) if stamp % 400 == 0 else (FRAME, 16)
        cache.make_room(length, now=stamp)
        recorded.write(kind, length, stamp)
        if stamp % 400 == 399:
            expected = recorded.at_positions(recorded.unrotated(), 0)
            error = (cache.keys[:, 0, :, : cache.length].float() - expected).norm(dim=-1) / expected.norm(dim=-1)
            worst = max(worst, float(error.max()))
    assert cache.evictions > 800
    once = torch.finfo(dtype).eps / 2  # the rounding of one number
    assert worst < 8 * once


def test_what_did_not_move_was_not_touched(recorded):
    filled = fill(recorded(max_tokens=100, vision_seconds=3.0), frames=range(1, 9), texts=[0])
    before = filled.cache.keys[..., :20, :].clone()
    filled.cache.make_room(40, now=8.0)
    assert filled.cache.length < 90
    assert torch.equal(filled.cache.keys[..., :20, :], before)


def test_the_memory_is_allocated_once(recorded):
    filled = recorded(max_tokens=100)
    places = filled.cache.keys.data_ptr(), filled.cache.values.data_ptr()
    fill(filled, frames=range(9))
    filled.cache.make_room(50, now=8.0)
    filled.cache.clear()
    assert (filled.cache.keys.data_ptr(), filled.cache.values.data_ptr()) == places
    assert filled.cache.length == 0 and filled.cache.room == 100


@pytest.mark.parametrize(("text_tokens", "kept"), [(None, [6, 7]), (60, [2, 3, 4, 5, 6, 7])])
def test_unless_a_limit_is_given_text_may_take_a_quarter_of_the_context(recorded, text_tokens, kept):
    filled = fill(recorded(max_tokens=100, vision_seconds=99, text_tokens=text_tokens), frames=[8], texts=range(1, 8))
    filled.cache.make_room(11, now=9.0)
    assert [stamp for kind, stamp in filled.kept() if kind is TEXT] == kept
