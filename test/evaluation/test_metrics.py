# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The paper's metrics against values recorded from the public implementation."""

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from videollm_ros.evaluation import average_metrics, stream_metrics
from videollm_ros.evaluation.metrics import fluency
from videollm_ros.live import LiveModel

GOLDENS = Path(__file__).parents[1] / "goldens" / "live1plus"


@pytest.fixture(scope="module")
def model():
    return LiveModel.from_pretrained(
        GOLDENS / "adapter", llm=GOLDENS / "base", vision=GOLDENS / "vision", device="cpu", dtype="float32"
    )


@pytest.fixture(scope="module")
def expected():
    return json.loads((GOLDENS / "expected.json").read_text())


@pytest.fixture(scope="module")
def features():
    return load_file(GOLDENS / "tensors.safetensors")["vision_features"]


@pytest.mark.parametrize("threshold", ["0.0", "0.725"])
@pytest.mark.parametrize("number", range(3))
def test_the_four_metrics_are_the_public_implementations(model, expected, features, number, threshold):
    dialogue = expected["dialogues"][number]
    frames = features[dialogue["first_frame"] :][: dialogue["num_frames"]]
    metrics = stream_metrics(model, dialogue["conversation"], frames, float(threshold))
    assert metrics == pytest.approx(dialogue["metrics"][threshold], abs=1e-4)


def told_late(num_next: int) -> list[dict]:
    """A turn of two frames that its model does not speak on, and a turn after it."""
    return [
        {"role": "stream", "num_frames": 2, "learn": True},
        {"role": "assistant", "content": "You see a steak knife.", "learn": True},
        {"role": "stream", "num_frames": num_next, "learn": True},
        {"role": "assistant", "content": "You see a white plate.", "learn": True},
    ]


def test_a_late_turn_reads_on_at_most_one_frame_less_than_it_has(model, features):
    """Nothing changes in frames 5 to 8: the model is silent in both turns. The last turn then counts no difference."""
    assert stream_metrics(model, told_late(2), features[5:9])["frame_diff"] == pytest.approx(1 / 2)


def test_a_turn_that_a_query_ends_is_judged_by_the_same_rule(model, features):
    conversation = [
        {"role": "stream", "num_frames": 2, "learn": True},
        {"role": "user", "content": "What is it now?"},
        {"role": "assistant", "content": "It is a steak knife.", "learn": True},
        *told_late(2)[2:],
    ]
    assert stream_metrics(model, conversation, features[5:9])["frame_diff"] == pytest.approx(1 / 2)


@pytest.mark.parametrize(("frame_diff", "value"), [(0, 0.6), (2, 0.2), (1, 0.3), (-1, 0.3), (-5, 0.3)])
def test_fluency_counts_the_frames_before_the_first_wrong_decision(frame_diff, value):
    assert fluency(num_stream=4, num_text=6, num_right=2, frame_diff=frame_diff) == pytest.approx(value)


def test_another_number_of_frames_is_an_error(model, expected, features):
    with pytest.raises(ValueError, match="frames"):
        stream_metrics(model, expected["dialogues"][0]["conversation"], features[:3])
    assert torch.is_tensor(features)


def test_a_dialogue_in_which_nothing_is_said_counts_for_nothing(model, features):
    silent = stream_metrics(model, [{"role": "stream", "num_frames": 2, "learn": True}], features[5:7])
    assert all(math.isnan(value) for value in silent.values())
    spoken = stream_metrics(model, told_late(2), features[5:9])
    assert average_metrics([silent, spoken], 2.0)["time_diff"] == spoken["frame_diff"] / 2
    assert average_metrics([silent], 2.0)["lm_ppl"] is None
