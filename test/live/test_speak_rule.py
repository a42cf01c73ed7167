# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One rule decides to speak, in the paper's form and in a plain one."""

import math

import pytest
import torch

from videollm_ros.live import DEFAULT_THRESHOLD, FrameDecision, SpeakRule, StreamSession
from videollm_ros.live.speak_rule import predict_silence


@pytest.mark.parametrize(
    ("threshold", "p_silence", "is_argmax", "speaks"),
    [
        (0.5, 0.6, True, False),
        (0.5, 0.4, True, True),
        (0.5, 0.5, True, False),  # at least theta
        (1.0, 1.0, True, False),  # p saturates at 1
        (1.0, 0.9999999, True, True),
        (0.0, 0.1, True, False),
        (0.0, 0.4, False, True),  # silence is not the arg max
        (0.3, 0.4, False, True),
    ],
)
def test_in_the_papers_form_silence_must_be_the_arg_max_and_at_least_theta(threshold, p_silence, is_argmax, speaks):
    assert SpeakRule(threshold).speaks(p_silence, is_argmax) == speaks


@pytest.mark.parametrize("is_argmax", [True, False])
@pytest.mark.parametrize(
    ("threshold", "p_silence", "speaks"),
    [(0.5, 0.6, False), (0.5, 0.5, True), (0.3, 0.4, False), (0.1, 0.05, True), (0.0, 0.0, True), (1.0, 1.0, True)],
)
def test_in_the_plain_form_only_the_probability_counts(threshold, p_silence, speaks, is_argmax):
    assert SpeakRule(threshold, "plain").speaks(p_silence, is_argmax) == speaks


def test_a_probability_that_is_not_a_number_is_never_silence():
    assert SpeakRule(0.5).speaks(math.nan, True) and SpeakRule(0.5, "plain").speaks(math.nan, True)


def test_an_unknown_form_is_refused_by_name():
    with pytest.raises(ValueError, match="one of paper, plain, not 'papr'"):
        SpeakRule(0.5, "papr")


def test_predictions_are_those_of_a_softmax_and_an_arg_max():
    logits = torch.tensor([[1.0, 3.0, 2.0], [4.0, 1.0, 0.0]])
    predictions = predict_silence(logits, 1)
    assert [prediction.is_argmax for prediction in predictions] == [True, False]
    assert [prediction.p_silence for prediction in predictions] == pytest.approx(logits.softmax(-1)[:, 1].tolist())


def test_the_plain_form_has_the_lower_half_of_the_range_in_a_session(compose, lean_towards):
    """Silence at 0.4 loses the arg max to a likelier token: only the plain form stays silent."""
    model = compose()
    lean_towards(model, {model.template.silence_token_id: 60.0, model.tokenizer.convert_tokens_to_ids("a"): 61.0})
    frame = torch.zeros(3, 32, 32, dtype=torch.uint8)

    def decide(**rule) -> FrameDecision:
        return next(StreamSession(model, max_new_tokens=1, **rule).observe_events(frame, 0.0))

    p_silence = 1 - decide().speak_probability
    assert 0.05 < p_silence < 0.5
    assert decide(rule=SpeakRule(p_silence - 0.04, "paper")).speaks
    assert not decide(rule=SpeakRule(p_silence - 0.04, "plain")).speaks
    assert decide(rule=SpeakRule(p_silence + 0.04, "plain")).speaks


def test_a_rule_takes_the_place_of_the_threshold_and_a_new_threshold_keeps_its_form(golden_model):
    session = StreamSession(golden_model, threshold=0.9, rule=SpeakRule(0.2, "plain"))
    assert session.threshold == 0.2
    session.threshold = 0.3
    assert session.rule == SpeakRule(0.3, "plain")
    assert StreamSession(golden_model).rule == SpeakRule(DEFAULT_THRESHOLD, "paper")
