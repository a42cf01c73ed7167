# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Geometries have the sizes of the real models. benchmark/geometries.py tries the large ones out."""

import importlib
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmark"))
geometries = importlib.import_module("geometries")
sys.path.pop(0)

# Parameters of the decoder and of the vision tower, in millions, from the model cards.
CARDS = {
    "1b": (1236, 316),
    "8b": (8030, 316),
    "llama3.2-1b-siglip-base": (1236, 93),
    "qwen2.5-0.5b": (494, 316),
    "qwen2.5-1.5b": (1544, 316),
    "7b_v1": (6738, 303),
}


@pytest.mark.parametrize("geometry", CARDS)
def test_a_geometry_has_the_sizes_of_the_real_model(geometry):
    model = geometries.build(geometry, torch.device("meta"), torch.bfloat16)
    counts = [round(geometries.count_parameters(part) / 1e6) for part in (model.llm, model.vision)]
    assert counts == [pytest.approx(count, abs=1) for count in CARDS[geometry]]


def test_a_model_that_is_tried_out_loads_observes_and_replies():
    assert geometries.try_out("demo", torch.device("cpu"), torch.float32)["parameters"] > 1e6
