# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What all tests share: the golden checkpoint and its scenes, and a ROS graph of their own.

The graph is a free domain on this machine alone, inherited by every process started. Each worker of pytest-xdist has a
domain of its own.
"""

import contextlib
import json
import os
import shutil
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"  # before huggingface_hub reads it: nothing here is from a hub
os.environ["OMP_NUM_THREADS"] = "1"  # the models are tiny: threads would wait for each other, here and in every node

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from videollm_ros.live import LiveModel

try:
    from domain_coordinator import domain_id
except ImportError:  # no ROS: the tests of the library do not need a graph
    domain_id = None

torch.set_num_threads(1)  # for a torch that was imported before

GOLDENS = Path(__file__).parent / "goldens" / "live1plus"
NODE = Path(__file__).parent / "node"


def pytest_configure(config: pytest.Config) -> None:
    if domain_id is None:
        return
    stack = contextlib.ExitStack()
    # Held until the tests end, so that no other test run on this machine takes the same domain.
    os.environ["ROS_DOMAIN_ID"] = str(stack.enter_context(domain_id()))
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    config.add_cleanup(stack.close)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is under test/node: a new file there need not think of it."""
    for item in items:
        if NODE in item.path.parents:
            item.add_marker("ros")


@pytest.fixture(scope="session")
def goldens_folder() -> Path:
    """adapter/ base/ vision/ expected.json tensors.safetensors"""
    return GOLDENS


@pytest.fixture(scope="session")
def goldens() -> dict:
    """What the published implementation gives."""
    return json.loads((GOLDENS / "expected.json").read_text())


@pytest.fixture(scope="session")
def golden_tensors() -> dict[str, torch.Tensor]:
    return load_file(GOLDENS / "tensors.safetensors")


@pytest.fixture(scope="session")
def golden_frames(golden_tensors) -> torch.Tensor:
    """uint8 [24, 3, 96, 96]"""
    return golden_tensors["frames"]


@pytest.fixture(scope="session")
def golden_model() -> LiveModel:
    return LiveModel.from_pretrained(
        GOLDENS / "adapter", llm=GOLDENS / "base", vision=GOLDENS / "vision", device="cpu", dtype="float32"
    )


@pytest.fixture(scope="session")
def golden_paths():
    """What model.checkpoint, model.llm and model.vision are set to."""
    return {"checkpoint": str(GOLDENS / "adapter"), "llm": str(GOLDENS / "base"), "vision": str(GOLDENS / "vision")}


@pytest.fixture(scope="session")
def scenes(golden_frames) -> np.ndarray:
    """The 24 golden frames as a camera would give them: uint8 RGB [24, H, W, 3]."""
    return golden_frames.permute(0, 2, 3, 1).numpy().copy()


@pytest.fixture(scope="session")
def talkative_model(golden_paths) -> LiveModel:
    """The golden model with the head's row of <eos> set to zero: its replies go on until they are stopped."""
    model = LiveModel.from_pretrained(**golden_paths, device="cpu")
    model.llm.get_output_embeddings().weight.data[model.template.eos_token_id] = 0
    return model


@pytest.fixture(scope="module")
def launch_browser():
    """Launches a headless Chromium with these arguments.

    The driver ends with the module, since its event loop is in the way of asyncio.run.
    """
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("there is no Chromium here: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        yield lambda *arguments: driver.chromium.launch(executable_path=found, args=["--no-sandbox", *arguments])


@pytest.fixture(scope="module")
def browser(launch_browser):
    """A headless Chromium."""
    with contextlib.closing(launch_browser()) as browser:
        yield browser
