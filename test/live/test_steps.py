# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every use of the decoder is a step: told with its tokens and seconds, in order."""

import time

import pytest
import torch

from videollm_ros.live import ContextLimits, SessionBrokenError, StreamSession
from videollm_ros.live.steps import StepGuard


def frame(number=0):
    return torch.full((3, 32, 32), 10 * number, dtype=torch.uint8)


def test_the_steps_of_a_stream_are_told_with_every_token_that_is_read(compose, lean_towards):
    model = compose()
    lean_towards(model, {model.template.silence_token_id: -99.0, model.template.eos_token_id: -99.0})
    steps = []
    session = StreamSession(model, max_new_tokens=3, on_step=steps.append)
    session.observe(frame(), 0.0)
    assert [step.kind for step in steps] == ["frames", "prompt", "word", "word"]
    assert sum(step.tokens for step in steps) == session.state.tokens
    assert all(0 < step.seconds < 60 for step in steps)


def test_frames_that_are_read_together_are_one_step_with_their_intervals(compose, lean_towards):
    model = compose()
    lean_towards(model, {model.template.silence_token_id: 99.0})
    steps = []
    session = StreamSession(model, max_new_tokens=3, on_step=steps.append)
    embeds = model.embed(model.encode(torch.stack([frame(number) for number in range(4)])))
    list(session.observe_embeds(embeds, [0.0, 1.0, 2.0, 3.0]))
    assert [step.kind for step in steps] == ["frames"]
    assert steps[0].tokens == session.state.tokens


def test_an_eviction_is_a_step_of_its_own_that_tells_what_it_freed(compose, lean_towards):
    model = compose()
    lean_towards(model, {model.template.silence_token_id: 99.0})
    steps = []
    session = StreamSession(model, max_new_tokens=3, context=ContextLimits(max_tokens=80), on_step=steps.append)
    for stamp in range(60):
        session.observe(frame(stamp % 5), float(stamp))
    evictions = [step for step in steps if step.kind == "eviction"]
    assert len(evictions) == session.state.evictions > 2
    assert sum(step.tokens for step in evictions) == session.state.evicted_tokens
    assert sum(step.tokens for step in steps if step.kind == "frames") == session.state.tokens + sum(
        step.tokens for step in evictions
    )


def test_a_step_lasts_as_long_as_its_body():
    steps = []
    guard = StepGuard(steps.append)
    with guard.step("word", 1):
        time.sleep(0.05)
    assert 0.05 <= steps[0].seconds < 60


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_step_that_fails_is_not_told_and_breaks_what_follows(error):
    steps = []
    guard = StepGuard(steps.append)
    with pytest.raises(error), guard.step("word", 1):
        raise error
    assert guard.broken and steps == []
    with pytest.raises(SessionBrokenError), guard.step("word", 1):
        pytest.fail("it went on")
