# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`videollm-train --init`: four answers make a configuration that trains."""

import io
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from videollm_ros.data import Dialogue, FeatureFolder
from videollm_ros.data.dialogues import write_dialogues
from videollm_ros.data.sources import open_sources
from videollm_ros.live import LiveModel
from videollm_ros.training.__main__ import main
from videollm_ros.training.config import TrainConfig
from videollm_ros.training.init import ask_and_write
from videollm_ros.training.yaml_dataclass import ConfigError

ROOT = Path(__file__).parents[2]


def answers(*given):
    left = list(given)
    return lambda question: left.pop(0)


def test_the_defaults_fine_tune_the_demo_model_beside_the_simulator(tmp_path):
    ask_and_write(tmp_path / "run.yaml", answers("", "", "", ""))
    config = TrainConfig.load(tmp_path / "run.yaml")
    own, old = config.stages[0].data.sources
    assert LiveModel.from_pretrained(config.model.checkpoint, device="cpu")
    assert (own.dialogues, own.features, config.output) == ("dialogues.jsonl", "features", "runs/run")
    assert old.simulator is not None and config.stages[0].trainable.llm == "all"


def test_the_demo_checkpoint_is_named_relative_to_the_folder_in_which_training_is_started(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    ask_and_write(tmp_path / "run.yaml", answers("", "", "", ""))
    assert TrainConfig.load(tmp_path / "run.yaml").model.checkpoint == "checkpoints/demo"
    monkeypatch.chdir(tmp_path)
    ask_and_write(tmp_path / "elsewhere.yaml", answers("", "", "", ""))
    assert Path(TrainConfig.load(tmp_path / "elsewhere.yaml").model.checkpoint) == ROOT / "checkpoints" / "demo"


def test_another_checkpoint_is_trained_with_lora_on_its_own(tmp_path):
    (tmp_path / "videos: mine").mkdir()
    given = ("chenjoya/videollm-online-8b-v1plus", "my: dialogues.jsonl", str(tmp_path / "videos: mine"), "out")
    ask_and_write(tmp_path / "run.yaml", answers(*given))
    config = TrainConfig.load(tmp_path / "run.yaml")
    (source,) = config.stages[0].data.sources
    assert (config.model.checkpoint, source.dialogues, source.videos, config.output) == given
    assert config.stages[0].trainable.llm == "lora"


def test_half_of_every_batch_of_the_demo_model_is_what_it_knew(tmp_path):
    turns = [{"role": "stream", "num_frames": 250, "learn": True}]
    write_dialogues([Dialogue(f"v{n}", (0, 250), turns) for n in range(30)], tmp_path / "d.jsonl")
    for number in range(30):
        FeatureFolder(tmp_path / "features").write(f"v{number}", torch.randn(250, 6, 128))
    ask_and_write(tmp_path / "run.yaml", answers("", str(tmp_path / "d.jsonl"), str(tmp_path / "features"), ""))
    config = TrainConfig.load(tmp_path / "run.yaml")
    data, model = config.stages[0].data, LiveModel.from_pretrained(config.model.checkpoint, device="cpu")
    own, _ = open_sources(data, model, seed=0)
    _, old = data.sources
    assert len(own) == 90  # parts of 120, 120 and 10 frames
    assert old.simulator is not None and len(range(*old.simulator.seeds)) * old.weight == pytest.approx(90)


def test_an_existing_file_is_left_alone(tmp_path):
    (tmp_path / "run.yaml").write_text("mine")
    with pytest.raises(ConfigError, match="exists already"):
        ask_and_write(tmp_path / "run.yaml", answers("", "", "", ""))
    assert (tmp_path / "run.yaml").read_text() == "mine"


@pytest.mark.slow
def test_the_command_asks_and_the_file_that_it_writes_trains(tmp_path, monkeypatch, capsys):
    turns = [{"role": "stream", "num_frames": 4, "learn": True}, {"role": "assistant", "content": "Go.", "learn": True}]
    write_dialogues([Dialogue(f"v{n}", (0, 4), turns) for n in range(4)], tmp_path / "d.jsonl")
    for number in range(4):
        FeatureFolder(tmp_path / "features").write(f"v{number}", torch.randn(4, 6, 128))
    typed = "\n".join(["demo", str(tmp_path / "d.jsonl"), str(tmp_path / "features"), str(tmp_path / "out"), ""])
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    monkeypatch.setattr(sys, "argv", ["videollm-train", "--init", str(tmp_path / "run.yaml")])
    assert not main()
    assert capsys.readouterr().out.count("]: ") == 4
    path, text = tmp_path / "short.yaml", (tmp_path / "run.yaml").read_text()
    path.write_text(
        text.replace("max_steps: 220", "max_steps: 2")
        .replace("seeds: [4000, 4300], seconds: 45.0", "seeds: [4000, 4004], seconds: 4.0")
        .replace("weight: 0.0133", "weight: 1.0")
    )
    command = [sys.executable, "-m", "videollm_ros.training", "--config", str(path)]
    trained = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert trained.returncode == 0, trained.stderr[-2000:]
    assert LiveModel.from_pretrained(tmp_path / "out" / "model", device="cpu")


def test_answers_that_end_early_leave_no_file(tmp_path):
    def ask(question):
        raise EOFError

    with pytest.raises(ConfigError, match="the answers ended before the last question"):
        ask_and_write(tmp_path / "run.yaml", ask)
    assert not (tmp_path / "run.yaml").exists()
