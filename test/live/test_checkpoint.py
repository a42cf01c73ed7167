# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Both layouts load and survive a round trip; what does not fit is named: the file, or the tensor and both shapes."""

import json
import shutil
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPVisionConfig, CLIPVisionModel, LlamaConfig, LlamaForCausalLM, SiglipVisionConfig
from transformers import SiglipVisionModel as SiglipTower

from videollm_ros.live import CheckpointError, LiveConfig, LiveModel, StreamSession
from videollm_ros.live.config import CONFIG_NAME


@pytest.fixture
def parts(goldens_folder, tmp_path):
    """A copy of the golden folder, to be spoiled."""
    return shutil.copytree(goldens_folder, tmp_path / "goldens", ignore=shutil.ignore_patterns("tensors*", "expected*"))


@pytest.fixture
def saved(golden_model, tmp_path):
    """A self-contained folder, to be spoiled."""
    golden_model.save_pretrained(tmp_path / "saved")
    return tmp_path / "saved"


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


# What loads.


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


# What does not.


def test_a_folder_that_is_no_checkpoint_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=rf"{tmp_path} has neither adapter_config.json nor live_config.json"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["/no/such/folder", "not//a hub id", "./relative/nothing"])
def test_neither_a_folder_nor_a_hub_id(name):
    with pytest.raises(CheckpointError, match=f"{name} is neither a folder nor a hub id"):
        load(name)


def test_a_hub_id_that_cannot_be_had_is_named():
    with pytest.raises(CheckpointError, match="nobody/nothing is no folder, and the hub does not have it for us"):
        load("nobody/nothing")


@pytest.mark.parametrize(
    ("missing", "complaint"),
    [
        ("connector.safetensors", "connector.safetensors is missing; .*never from pickles"),
        ("llm/model.safetensors", "decoder cannot be loaded from .*llm: .*model.safetensors"),
        ("llm/config.json", "decoder cannot be loaded from .*llm"),
        ("llm/tokenizer.json", "tokenizer cannot be loaded from .*llm"),
        ("vision/model.safetensors", "vision tower cannot be loaded from .*vision: .*model.safetensors"),
        ("vision/config.json", "vision tower cannot be loaded from .*vision"),
    ],
)
def test_a_missing_file_is_named(saved, missing, complaint):
    (saved / missing).unlink()
    with pytest.raises(CheckpointError, match=complaint):
        load(saved)


@pytest.mark.parametrize("part", ["llm", "vision"])
def test_a_missing_folder_is_named(saved, part):
    shutil.rmtree(saved / part)
    with pytest.raises(CheckpointError, match=f"cannot be loaded from .*{part}"):
        load(saved)


def test_a_missing_adapter_file_is_named(parts):
    (parts / "adapter" / "adapter_model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"adapter_model.safetensors is missing; .*never from pickles"):
        load_adapter(parts)


@pytest.mark.parametrize("part", ["connector", "adapter", "llm"])
def test_pickles_are_never_read(parts, saved, part, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "it ran"), "w"))

    file, pickle_name = {
        "connector": (saved / "connector.safetensors", "connector.bin"),
        "adapter": (parts / "adapter" / "adapter_model.safetensors", "adapter_model.bin"),
        "llm": (saved / "llm" / "model.safetensors", "pytorch_model.bin"),
    }[part]
    torch.save({"weight": Bomb()}, file.with_name(pickle_name))
    file.unlink()
    with pytest.raises(CheckpointError, match=r"safetensors"):
        load_adapter(parts) if part == "adapter" else load(saved)
    assert not (tmp_path / "it ran").exists()


def test_code_in_a_checkpoint_is_not_run(saved, tmp_path):
    (saved / "llm" / "modeling_evil.py").write_text(f"open({str(tmp_path / 'it ran')!r}, 'w')\nclass Evil: pass\n")
    edit_json(
        saved / "llm" / "config.json",
        model_type="evil",
        auto_map={"AutoConfig": "modeling_evil.Evil", "AutoModelForCausalLM": "modeling_evil.Evil"},
    )
    with pytest.raises(CheckpointError, match="decoder cannot be loaded"):
        load(saved)
    assert not (tmp_path / "it ran").exists()


@pytest.mark.parametrize("file", ["connector.safetensors", "llm/model.safetensors", "vision/model.safetensors"])
@pytest.mark.parametrize("damage", ["cut off", "not safetensors", "empty"])
def test_a_damaged_file_is_named(saved, file, damage):
    path = saved / file
    content = path.read_bytes()
    path.write_bytes({"cut off": content[: len(content) // 2], "not safetensors": b"x" * 999, "empty": b""}[damage])
    with pytest.raises(CheckpointError, match=file.split("/")[0].removesuffix(".safetensors")):
        load(saved)


@pytest.mark.parametrize("file", [CONFIG_NAME, "llm/config.json", "vision/config.json", "llm/tokenizer.json"])
@pytest.mark.parametrize("content", ["{", "[]", ""])
def test_a_damaged_configuration_is_named(saved, file, content):
    (saved / file).write_text(content)
    with pytest.raises(CheckpointError, match=f"{file}|{file.split('/')[0]}"):
        load(saved)


@pytest.mark.parametrize("content", ["{", "[]", "{}"])
def test_a_damaged_adapter_configuration_is_named(parts, content):
    (parts / "adapter" / "adapter_config.json").write_text(content)
    with pytest.raises(CheckpointError, match="adapter"):
        load_adapter(parts)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"frame_colour": "red"}, "live_config.json has settings unknown to this version: frame_colour"),
        ({"frame_resolution": 0}, "frame_resolution is a number of pixels, at least 1: 0"),
        ({"frame_resolution": "large"}, "frame_resolution"),
        ({"frame_token_pooled": [3]}, "frame_token_pooled is rows and columns"),
        ({"frame_token_pooled": 3}, "frame_token_pooled"),
        ({"frame_token_cls": False, "frame_token_pooled": None}, "a frame needs tokens"),
        ({"frame_fps": 0}, "frame_fps is a rate in Hz above 0"),
        ({"frame_fps": "fast"}, "frame_fps"),
        ({"frame_resolution": 64}, "reads frames of 96 pixels, the checkpoint was made for 64"),
        ({"frame_token_interval": "<and>"}, "interval '<and>' must be one token"),
    ],
)
def test_a_setting_that_cannot_be_is_named(saved, changes, complaint):
    edit_json(saved / CONFIG_NAME, **changes)
    with pytest.raises(CheckpointError, match=complaint):
        load(saved)


LORA = "base_model.model.model.layers.1.self_attn.q_proj.lora_A.weight"


def test_an_adapter_tensor_of_another_shape_is_named_with_both_shapes(parts):
    path = parts / "adapter" / "adapter_model.safetensors"
    edit(path, lambda tensors: tensors.update({LORA: torch.zeros(8, 40)}))
    with pytest.raises(CheckpointError, match=rf"adapter_model.safetensors: .*{LORA} has shape \[8, 40\].*\[8, 48\]"):
        load_adapter(parts)


def test_an_adapter_that_is_no_lora_is_refused(parts):
    prompt = {"peft_type": "PROMPT_TUNING", "task_type": "CAUSAL_LM", "num_virtual_tokens": 4}
    (parts / "adapter" / "adapter_config.json").write_text(json.dumps(prompt))
    with pytest.raises(CheckpointError, match=r"adapter_config.json is of type .*PROMPT_TUNING; expected LORA"):
        load_adapter(parts)


def test_an_adapter_that_lacks_a_tensor_is_refused(parts):
    edit(parts / "adapter" / "adapter_model.safetensors", lambda tensors: tensors.pop(LORA))
    with pytest.raises(CheckpointError, match=rf"lacks the tensor {LORA} of shape \[8, 48\]"):
        load_adapter(parts)


def test_an_adapter_with_a_tensor_too_many_is_refused(parts):
    deeper = LORA.replace("layers.1", "layers.9")
    edit(parts / "adapter" / "adapter_model.safetensors", lambda tensors: tensors.update({deeper: torch.zeros(8, 48)}))
    with pytest.raises(CheckpointError, match=rf"has the tensor {deeper} \[8, 48\], which the base model has not"):
        load_adapter(parts)


def test_an_adapter_that_does_not_fit_its_base_is_refused_with_both_shapes(parts, random_llm, tokenizer):
    random_llm(hidden_size=32).save_pretrained(parts / "narrow")
    tokenizer.save_pretrained(parts / "narrow")
    with pytest.raises(CheckpointError, match=r"the tensor base_model\S+ has shape \[48\].* expect \[32\]"):
        load_adapter(parts, llm=parts / "narrow")


def test_an_adapter_for_a_deeper_base_is_refused(parts, tokenizer, goldens_folder):
    config = LlamaConfig.from_pretrained(goldens_folder / "base", num_hidden_layers=1)
    LlamaForCausalLM(config).save_pretrained(parts / "shallow")
    tokenizer.save_pretrained(parts / "shallow")
    with pytest.raises(CheckpointError, match=r"has the tensor base_model\S+layers.1\S+ \[\d+, \d+\]"):
        load_adapter(parts, llm=parts / "shallow")


@pytest.fixture
def narrow_tower(tmp_path):
    sizes = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    SiglipTower(SiglipVisionConfig(**sizes, image_size=96, patch_size=16)).save_pretrained(tmp_path / "narrow")
    return tmp_path / "narrow"


def test_a_vision_tower_of_another_width_is_refused_with_both_shapes(parts, saved, narrow_tower):
    with pytest.raises(CheckpointError, match=r"connector\S+0.weight has shape \[48, 64\].* \[48, 32\]"):
        load_adapter(parts, vision=narrow_tower)
    with pytest.raises(CheckpointError, match=r"connector.safetensors: .*0.weight has shape \[48, 64\].* \[48, 32\]"):
        load(saved, vision=narrow_tower)


def test_a_vision_tower_of_another_family_is_refused(saved, goldens_folder):
    with pytest.raises(CheckpointError, match=r"vision tower .*base is a llama; expected one of siglip_vision_model"):
        load(saved, vision=goldens_folder / "base")


def test_a_decoder_of_another_width_is_refused_with_both_shapes(saved, random_llm, tokenizer):
    random_llm(hidden_size=32).save_pretrained(saved / "llm")
    with pytest.raises(CheckpointError, match=r"connector.safetensors: the tensor 0.bias has shape \[48\].* \[32\]"):
        load(saved)


def test_a_decoder_that_lacks_a_tensor_is_refused(saved):
    edit(saved / "llm" / "model.safetensors", lambda tensors: tensors.pop("model.norm.weight"))
    with pytest.raises(CheckpointError, match=r"decoder .*llm lacks 1 tensors, the first is model.norm.weight"):
        load(saved)


def test_a_decoder_tensor_of_another_shape_is_named_with_both_shapes(saved):
    narrow = {"model.norm.weight": torch.ones(40)}
    edit(saved / "llm" / "model.safetensors", lambda tensors: tensors.update(narrow))
    with pytest.raises(CheckpointError, match=r"decoder .*model.norm.weight.*\[40\].*\[48\]"):
        load(saved)


def test_the_tokenizer_of_a_larger_model_is_refused_with_both_sizes(parts, tokenizer):
    tokenizer = type(tokenizer).from_pretrained(parts / "base")
    tokenizer.add_tokens([f"<more{number}>" for number in range(5)])
    tokenizer.save_pretrained(parts / "base")
    with pytest.raises(CheckpointError, match=r"tokenizer has 440 tokens, .*\[435, 48\] only 435: .*another model"):
        load_adapter(parts)


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
