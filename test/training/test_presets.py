# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Each preset of config/train/ trains a toy of its parts: the same families, geometry and settings, small weights."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoTokenizer,
    CLIPVisionConfig,
    CLIPVisionModel,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    SiglipVisionConfig,
    SiglipVisionModel,
)

from videollm_ros.data import Dialogue, FeatureFolder
from videollm_ros.data.dialogues import write_dialogues
from videollm_ros.live import LiveModel, StreamSession
from videollm_ros.training.config import TrainConfig
from videollm_ros.training.run import train

pytestmark = pytest.mark.slow

PRESETS = Path(__file__).parents[2] / "config" / "train"
GOLDENS = Path(__file__).parents[1] / "goldens" / "live1plus"
SIZE = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
FAMILIES = {  # decoder with the positions that it knows, whether its embeddings are tied, and the tower
    "8b_v1plus": (LlamaConfig, LlamaForCausalLM, 8192, False, SiglipVisionConfig, SiglipVisionModel),
    "8b_v1": (LlamaConfig, LlamaForCausalLM, 8192, False, SiglipVisionConfig, SiglipVisionModel),
    "7b_v1": (LlamaConfig, LlamaForCausalLM, 4096, False, CLIPVisionConfig, CLIPVisionModel),
    "jetson": (Qwen2Config, Qwen2ForCausalLM, 32768, True, SiglipVisionConfig, SiglipVisionModel),
}


def make_parts(name, resolution, folder):
    """Write a decoder and a tower of the preset's families; returns their folders."""
    llm_config, llm_class, positions, tied, tower_config, tower_class = FAMILIES[name]
    tokenizer = AutoTokenizer.from_pretrained(GOLDENS / "base")
    torch.manual_seed(0)
    llm = llm_class(
        llm_config(
            **SIZE,
            num_key_value_heads=2,
            vocab_size=len(tokenizer) + 8,
            max_position_embeddings=positions,
            tie_word_embeddings=tied,
        )
    )
    llm.save_pretrained(folder / "llm")
    tokenizer.save_pretrained(folder / "llm")
    tower_class(tower_config(**SIZE, image_size=resolution, patch_size=resolution // 4)).save_pretrained(folder / "v")
    return str(folder / "llm"), str(folder / "v")


def write_data(preset, num_frames, folder):
    """Write one dialogue of so many frames with its features."""
    live = preset.model.live
    pooled = live["frame_token_pooled"] or [0, 0]
    num_tokens = int(live["frame_token_cls"]) + pooled[0] * pooled[1]
    turns = [{"role": "stream", "num_frames": num_frames // 2, "learn": True}]
    turns += [{"role": "assistant", "content": "You see a cup.", "learn": True}, *turns]
    write_dialogues([Dialogue("v", (0, 2 * (num_frames // 2)), turns)], folder / "d.jsonl")
    FeatureFolder(folder / "features").write("v", torch.randn(num_frames, num_tokens, 32))
    return {"dialogues": str(folder / "d.jsonl"), "features": str(folder / "features")}


def shrink(preset, name, num_frames, folder):
    """Return the preset with toy parts, own data, and two steps of one sample on a CPU."""
    llm, vision = make_parts(name, preset.model.live["frame_resolution"], folder)
    (stage,) = preset.stages
    data = replace(stage.data, **write_data(preset, num_frames, folder))
    trainer = stage.trainer | {"max_steps": 2, "gradient_accumulation_steps": 1, "report_to": "none"}
    stage = replace(stage, data=data, trainer=trainer | {"disable_tqdm": True})
    return replace(
        preset, output=str(folder / "out"), model=replace(preset.model, llm=llm, vision=vision), stages=(stage,)
    )


def test_every_preset_has_a_toy():
    assert {path.stem for path in PRESETS.glob("*.yaml")} == {*FAMILIES, "demo"}


@pytest.mark.parametrize("name", FAMILIES)
def test_a_preset_trains_its_toy_and_leaves_an_adapter_that_watches(name, tmp_path):
    preset = shrink(TrainConfig.load(PRESETS / f"{name}.yaml"), name, 40, tmp_path)
    folder = train(preset)
    assert (folder / "adapter_config.json").exists()
    model = LiveModel.from_pretrained(folder, device="cpu")
    assert model.config.frame_num_tokens == {"8b_v1plus": 10, "jetson": 5}.get(name, 1)
    session = StreamSession(model, max_new_tokens=4)
    resolution = model.config.frame_resolution
    session.observe(torch.zeros(3, resolution, resolution, dtype=torch.uint8), stamp=0.0)
    assert session.state.frames_read == 1


def test_the_papers_own_setting_trains_on_more_positions_than_the_decoder_names(tmp_path):
    """1,200 frames of 11 tokens are 13,200 positions, and Llama-3 names 8,192."""
    preset = shrink(TrainConfig.load(PRESETS / "8b_v1plus.yaml"), "8b_v1plus", 1200, tmp_path)
    (stage,) = preset.stages
    stage = replace(stage, trainer=stage.trainer | {"max_steps": 1})
    folder = train(replace(preset, stages=(stage,)))
    model = LiveModel.from_pretrained(folder, device="cpu")
    assert model.llm.config.max_position_embeddings == 8192
    assert model.config.max_positions == 16384
