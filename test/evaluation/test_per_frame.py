# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The metrics of the per-frame baseline: every reply that says something is a turn, whatever its first letters."""

from itertools import pairwise
from pathlib import Path

import pytest
import torch

from videollm_ros.evaluation.per_frame import per_frame_metrics
from videollm_ros.live import LiveModel
from videollm_ros.sim import Tabletop, to_record

DEMO = Path(__file__).parents[2] / "checkpoints" / "demo"


@pytest.mark.parametrize("seed", range(9400, 9406))
@torch.inference_mode()
def test_a_model_that_always_speaks_is_early_in_every_turn(seed):
    """The demo checkpoint knows no reply to nothing, so its first word after every frame is speech."""
    model = LiveModel.from_pretrained(DEMO, device="cpu")
    tabletop = Tabletop(seed, 20.0)
    conversation = to_record(tabletop, questions=False)["conversation"]
    features = model.encode(model.prepare(tabletop.frames(2.0)))
    turns = [m["num_frames"] for m, n in pairwise(conversation) if n["role"] == "assistant"]
    metrics = per_frame_metrics(model, conversation, features)
    if turns:
        assert metrics["frame_diff"] == pytest.approx(sum(count - 1 for count in turns) / len(turns))
