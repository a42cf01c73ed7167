# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The eviction policy as a pure function: what it may take, how much, and what it never takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videollm_ros.live import ContextLimits
from videollm_ros.live.eviction import Segment, SegmentKind, choose_evictions

SYSTEM, INSTRUCTION, FRAME, TEXT = SegmentKind


def context(*kinds, length=10):
    """A system prompt, then segments whose stamps are their indices."""
    return [Segment(SYSTEM, length, float("-inf")), *(Segment(kind, length, i + 1) for i, kind in enumerate(kinds))]


def test_an_instruction_is_never_evicted_whatever_its_age():
    segments = context(INSTRUCTION, FRAME, TEXT, FRAME, INSTRUCTION, TEXT, FRAME)
    limits = ContextLimits(max_tokens=80, vision_seconds=0.0, text_tokens=0)
    assert choose_evictions(segments, limits, needed=40, now=1000.0) == {2, 3, 4, 6}
    with pytest.raises(ValueError, match=r"41 tokens do not fit: context\.max_tokens is 80, of which 40 must stay"):
        choose_evictions(segments, limits, needed=41, now=1000.0)


def test_a_frame_exactly_as_old_as_the_limit_stays():
    segments = context(FRAME, FRAME, FRAME, FRAME)
    limits = ContextLimits(max_tokens=50, vision_seconds=3.0)
    assert choose_evictions(segments, limits, needed=1, now=5.0) == {1}


def test_of_too_much_text_the_oldest_goes():
    segments = context(TEXT, TEXT, TEXT, TEXT, FRAME)
    limits = ContextLimits(max_tokens=60, text_tokens=20)
    assert choose_evictions(segments, limits, needed=1, now=6.0) == {1, 2}


def test_the_size_of_the_context_must_be_known():
    with pytest.raises(ValueError, match="needs limits with max_tokens"):
        choose_evictions(context(FRAME), ContextLimits(), needed=1, now=0.0)


@given(
    kinds=st.lists(st.sampled_from([INSTRUCTION, FRAME, FRAME, TEXT]), max_size=30),
    length=st.integers(1, 20),
    spare=st.integers(0, 40),
    needed=st.integers(1, 400),
    limits=st.tuples(st.sampled_from([0.0, 5.0, 1e9]), st.sampled_from([None, 0, 50, 10**6])),
)
def test_it_takes_enough_and_only_what_it_may(kinds, length, spare, needed, limits):
    segments = context(*kinds, length=length)
    used = sum(segment.length for segment in segments)
    limits = ContextLimits(used + spare, *limits)
    before = [(segment.kind, segment.length, segment.stamp) for segment in segments]
    try:
        evicted = choose_evictions(segments, limits, needed, now=len(kinds) + 1.0)
    except ValueError:
        fixed = sum(s.length for s in segments[:-1] if s.kind in (SYSTEM, INSTRUCTION)) + segments[-1].length
        assert fixed + needed > limits.max_tokens
        return
    assert before == [(segment.kind, segment.length, segment.stamp) for segment in segments]  # it changes nothing
    assert bool(evicted) == (needed > spare)
    assert all(segments[index].kind in (FRAME, TEXT) and index != len(segments) - 1 for index in evicted)
    assert used - length * len(evicted) + needed <= limits.max_tokens
    for kind in (FRAME, TEXT):
        indices = [index for index, segment in enumerate(segments[:-1]) if segment.kind is kind]
        taken = [index for index in indices if index in evicted]
        assert taken == indices[: len(taken)]  # the oldest first
