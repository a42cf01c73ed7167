# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The golden checkpoint and its scenes, and a copy of it that cannot end a reply by itself."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from videollm_ros.live import LiveModel

GOLDENS = Path(__file__).parents[1] / "goldens" / "live1plus"


@pytest.fixture(scope="session")
def golden_paths():
    """What model.checkpoint, model.llm and model.vision are set to."""
    return {"checkpoint": str(GOLDENS / "adapter"), "llm": str(GOLDENS / "base"), "vision": str(GOLDENS / "vision")}


@pytest.fixture(scope="session")
def scenes() -> np.ndarray:
    """The 24 golden frames as a camera would give them: uint8 RGB [24, H, W, 3]."""
    return load_file(GOLDENS / "tensors.safetensors")["frames"].transpose(0, 2, 3, 1).copy()


@pytest.fixture(scope="session")
def golden_model(golden_paths) -> LiveModel:
    return LiveModel.from_pretrained(**golden_paths, device="cpu")


@pytest.fixture(scope="session")
def talkative_model(golden_paths) -> LiveModel:
    """The golden model with the head's row of <eos> set to zero: its replies go on until they are stopped."""
    model = LiveModel.from_pretrained(**golden_paths, device="cpu")
    model.llm.get_output_embeddings().weight.data[model.template.eos_token_id] = 0
    return model
