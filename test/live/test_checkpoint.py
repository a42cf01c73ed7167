# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Both layouts load, from where they are said to be and as what is asked for, and survive a round trip."""

import json
import shutil
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPVisionConfig, CLIPVisionModel, LlamaForCausalLM

from videollm_ros.live import CheckpointError, LiveConfig, LiveModel, StreamSession
from videollm_ros.live.config import CONFIG_NAME


def load_adapter(parts, **options):
    sources = {"llm": parts / "base", "vision": parts / "vision", "device": "cpu", **options}
    return LiveModel.from_pretrained(parts / "adapter", **sources)


def load(folder, **options):
    return LiveModel.from_pretrained(folder, device="cpu", **options)


def edit(path, change):
    """Change the tensors of a safetensors file in place."""
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)


def edit_json(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_an_adapter_without_geometry_is_the_published_8b_v1_plus_on_its_towers_frames(golden_model):
    published = LiveConfig()
    assert golden_model.config.frame_token_pooled == published.frame_token_pooled == (3, 3)
    assert golden_model.config.frame_token_interval == published.frame_token_interval == ","
    assert golden_model.config.frame_resolution == 96


def test_an_adapter_may_bring_its_geometry(parts):
    config = LiveConfig(frame_resolution=96, frame_token_pooled=(2, 2), frame_fps=4.0)
    config.save(parts / "adapter")
    model = load_adapter(parts)
    assert (model.config.frame_num_tokens, model.config.frame_fps) == (5, 4.0)


def test_the_adapter_names_its_base_when_nobody_else_does(parts):
    edit_json(parts / "adapter" / "adapter_config.json", base_model_name_or_path=str(parts / "base"))
    model = LiveModel.from_pretrained(parts / "adapter", vision=parts / "vision", device="cpu")
    assert model.config.llm == str(parts / "base")


def test_a_part_may_lie_in_the_home_folder(parts, monkeypatch):
    monkeypatch.setenv("HOME", str(parts))
    load_adapter(parts, llm="~/base", vision="~/vision")


def test_adapters_are_merged(golden_model):
    names = [name for name, _ in golden_model.llm.named_modules()]
    assert not any("lora" in name or "base_layer" in name for name in names)
    assert type(golden_model.llm) is LlamaForCausalLM
    assert not hasattr(golden_model.llm, "connector")


def test_a_model_for_inference_learns_nothing_and_drops_nothing(golden_model):
    assert not any(parameter.requires_grad for parameter in golden_model.parameters())
    assert not golden_model.training


def test_saved_and_loaded_the_model_says_the_same(golden_model, golden_frames, saved):
    again = load(saved)
    assert {path.name for path in saved.iterdir()} == {CONFIG_NAME, "connector.safetensors", "llm", "vision"}
    assert not [path for path in saved.rglob("*") if path.suffix in (".bin", ".pt", ".pth", ".pkl")]
    for name, tensor in golden_model.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
    stamps = [number / 2 for number in range(24)]
    expected = StreamSession(golden_model).observe_many(golden_frames, stamps)
    assert StreamSession(again).observe_many(golden_frames, stamps) == expected


def test_a_self_contained_folder_can_be_moved(saved, tmp_path):
    moved = saved.rename(tmp_path / "elsewhere")
    assert load(moved).config.llm == "llm"


def test_a_self_contained_folder_loads_with_another_base(saved, tmp_path):
    other = shutil.copytree(saved / "llm", tmp_path / "other")
    edit(other / "model.safetensors", lambda tensors: tensors["model.norm.weight"].fill_(7.0))
    assert float(load(saved, llm=other).llm.model.norm.weight[0]) == 7.0


def test_saving_twice_replaces_what_was_there(golden_model, saved):
    golden_model.save_pretrained(saved)
    load(saved)


def test_a_self_contained_folder_needs_no_peft(saved, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)  # importing it fails
    StreamSession(load(saved))


def test_clip_towers_load_alone_and_out_of_a_whole_clip(golden_model, saved, tmp_path):
    sizes = {"hidden_size": 64, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    tower = CLIPVisionModel(CLIPVisionConfig(**sizes, image_size=96, patch_size=16))
    tower.save_pretrained(tmp_path / "clip")
    model = load(saved, vision=tmp_path / "clip")
    assert type(model.vision.tower) is CLIPVisionModel
    assert model.encode(torch.zeros(1, 3, 96, 96, dtype=torch.uint8)).shape == (1, 10, 64)


@pytest.mark.parametrize("dtype", ["bfloat16", torch.bfloat16, "float16", "float32", "auto"])
def test_every_part_has_the_type_that_was_asked_for(parts, dtype):
    expected = {"auto": torch.float32}.get(dtype) or getattr(torch, str(dtype).removeprefix("torch."))
    model = load_adapter(parts, dtype=dtype)
    assert model.dtype == expected
    assert {parameter.dtype for parameter in model.parameters()} == {expected}
    events = StreamSession(model).observe(torch.zeros(3, 96, 96, dtype=torch.uint8), 0.0)
    assert isinstance(events, list)


@pytest.mark.parametrize("device", ["abacus", "cuda:x", ""])
def test_an_unknown_device_is_named(goldens_folder, device):
    with pytest.raises(CheckpointError, match=f"unknown device '{device}'; expected auto, cpu, cuda"):
        load_adapter(goldens_folder, device=device)


def test_a_gpu_that_is_not_there_is_named(goldens_folder):
    count = torch.cuda.device_count()
    with pytest.raises(CheckpointError, match=f"device cuda:{count} was asked for, but .* sees {count} CUDA GPUs"):
        load_adapter(goldens_folder, device=f"cuda:{count}")


@pytest.mark.parametrize("dtype", ["int8", "double", "bf16", "", torch.int8, torch.float64])
def test_an_unknown_dtype_is_named(goldens_folder, dtype):
    with pytest.raises(CheckpointError, match=r"unknown dtype .*; expected auto, float32, float16 or bfloat16"):
        load_adapter(goldens_folder, dtype=dtype)


def test_an_unknown_quantization_is_named(goldens_folder):
    with pytest.raises(CheckpointError, match="unknown quantization 'int2'; expected one of int8, int4, fp8"):
        load_adapter(goldens_folder, quantization="int2")
