# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The streaming loss is what the paper says: a mean over learned positions, with stream positions weighted."""

import math

import pytest
import torch

from videollm_ros.live.loss import stream_loss
from videollm_ros.training.objective import StreamingObjective

# One dialogue of six positions: two frames, then text; the first of each kind is not learned.
LABELS = torch.tensor([[-100, 2, -100, 1, 0, -100]])
IS_FRAME = torch.tensor([[True, True, False, False, False, False]])


@pytest.fixture
def logits():
    torch.manual_seed(0)
    return torch.randn(1, 6, 3)


def cross_entropy(logits, position):
    """By hand: minus the logarithm of the target's share."""
    row = [math.exp(value) for value in logits[0, position].tolist()]
    return -math.log(row[int(LABELS[0, position])] / sum(row))


@pytest.mark.parametrize("weight", [0.5, 1.0, 3.0])
def test_the_weight_counts_for_frames_in_the_sum_and_not_in_the_count(logits, weight):
    stream, text = cross_entropy(logits, 1), [cross_entropy(logits, position) for position in (3, 4)]
    result = stream_loss(logits, LABELS, IS_FRAME, weight)
    assert float(result.loss) == pytest.approx((weight * stream + sum(text)) / 3, rel=1e-5)
    assert float(result.loss_sum) == pytest.approx(weight * stream + sum(text), rel=1e-5)
    assert [int(count) for count in (result.num_learned, result.num_stream, result.num_text)] == [3, 1, 2]
    assert float(result.stream_sum) == pytest.approx(stream, rel=1e-5)
    assert float(result.text_sum) == pytest.approx(sum(text), rel=1e-5)


def test_where_nothing_is_learned_the_loss_is_zero(logits):
    assert float(stream_loss(logits, torch.full_like(LABELS, -100), IS_FRAME, 2.0).loss) == 0


def test_only_the_weighted_sum_has_a_gradient(logits):
    result = stream_loss(logits.requires_grad_(), LABELS, IS_FRAME, 2.0)
    assert result.loss.requires_grad and not (result.stream_sum.requires_grad or result.text_sum.requires_grad)
    result.loss.backward()
    assert not logits.grad[0, [0, 2, 5]].any()


def test_the_model_and_the_training_objective_have_one_loss(golden_model, goldens, golden_tensors, monkeypatch):
    dialogue = goldens["dialogues"][0]
    first = dialogue["first_frame"]
    features = golden_tensors["vision_features"][first : first + dialogue["num_frames"]].float()
    input_ids, labels = torch.tensor([dialogue["input_ids"]]), torch.tensor([dialogue["labels"]])
    losses = {}
    for weight in (1.0, 2.5):
        objective = StreamingObjective(golden_model, weight)
        trained = objective(input_ids, labels, torch.ones_like(input_ids), features=features)["loss"]
        changed = type(golden_model.config)(**{**vars(golden_model.config), "stream_loss_weight": weight})
        monkeypatch.setattr(golden_model, "config", changed)
        assert float(golden_model(input_ids, features, labels).loss) == pytest.approx(float(trained), rel=1e-6)
        losses[weight] = float(trained)
    assert losses[1.0] != pytest.approx(losses[2.5])
