# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The demo checkpoint, one that is unsure, and a simulated bag in both storages."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch
from rosbags.rosbag2 import StoragePlugin

from videollm_ros.evaluation.__main__ import main
from videollm_ros.live import LiveModel
from videollm_ros.sim import Tabletop

HERE = Path(__file__).parent
DEMO = HERE.parents[1] / "checkpoints" / "demo"


def _load(name):
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def simulated_bags():
    """The functions of simulated_bags.py."""
    return _load("simulated_bags")


@pytest.fixture(scope="session")
def demo_model() -> LiveModel:
    return LiveModel.from_pretrained(DEMO, device="cpu")


@pytest.fixture(scope="session")
def unsure_model() -> LiveModel:
    """The demo checkpoint with flat logits: whether it speaks depends on theta."""
    model = LiveModel.from_pretrained(DEMO, device="cpu")
    model.llm.model.norm.weight.data *= 0.3
    return model


@pytest.fixture(scope="session")
def weak_checkpoint(tmp_path_factory) -> Path:
    """The demo checkpoint with noise on the decoder's weights: it misses events, says wrong ones, and speaks too often.

    The deviation of the noise is 0.6 times that of each weight. On it curves over theta are worth looking at.
    """
    model = LiveModel.from_pretrained(DEMO, device="cpu")
    generator = torch.Generator().manual_seed(0)
    for weight in model.llm.model.layers.parameters():
        if weight.ndim > 1:
            weight.data += 0.6 * weight.std() * torch.randn(weight.shape, generator=generator)
    folder = tmp_path_factory.mktemp("weak") / "weak"
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tabletop() -> Tabletop:
    return Tabletop(seed=9003, seconds=32.0)


@pytest.fixture(scope="session")
def bags(tmp_path_factory, simulated_bags, tabletop):
    """One recording in both storages, its annotations, and queries on a topic."""
    folder = tmp_path_factory.mktemp("bags")
    messages = list(simulated_bags.tabletop_messages(tabletop))
    asked = simulated_bags.text_message("What is on the table?")
    messages.append(("/query", simulated_bags.START + 20 * 10**9, asked))
    messages.sort(key=lambda each: each[1])
    for storage in (StoragePlugin.MCAP, StoragePlugin.SQLITE3):
        simulated_bags.write_bag(folder / storage.name.lower() / "table", messages, storage)
    simulated_bags.write_events(tabletop, folder / "events.jsonl")
    return folder


@pytest.fixture
def evaluate(monkeypatch, capsys):
    """Run the command. Returns its exit code, its output and its errors."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["videollm-evaluate", *map(str, arguments)])
        try:
            code = main()
        except SystemExit as end:
            code = end.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run
