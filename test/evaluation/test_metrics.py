# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The paper's metrics against values recorded from the public implementation."""

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from videollm_ros.evaluation import stream_metrics
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


def test_a_turn_that_a_query_ends_has_no_time_to_speak(model, features):
    conversation = [
        {"role": "stream", "num_frames": 3, "learn": True},
        {"role": "user", "content": "What is it now?"},
        {"role": "assistant", "content": "It is a wooden door.", "learn": True},
    ]
    metrics = stream_metrics(model, conversation, features[:3])
    assert math.isnan(metrics["frame_diff"])
    assert 0 <= metrics["fluency"] <= 1


def test_another_number_of_frames_is_an_error(model, expected, features):
    with pytest.raises(ValueError, match="frames"):
        stream_metrics(model, expected["dialogues"][0]["conversation"], features[:3])
    assert torch.is_tensor(features)
