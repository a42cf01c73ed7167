# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parts that do not fit each other are refused: the message has the tensor and both shapes."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM, SiglipVisionConfig
from transformers import SiglipVisionModel as SiglipTower

from videollm_ros.live import CheckpointError, LiveModel


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
    with pytest.raises(CheckpointError, match=rf"lacks the tensor {LORA}"):
        load_adapter(parts)


def test_an_adapter_with_a_tensor_too_many_is_refused(parts):
    deeper = LORA.replace("layers.1", "layers.9")
    pair = {deeper: torch.zeros(8, 48), deeper.replace("lora_A", "lora_B"): torch.zeros(48, 8)}
    edit(parts / "adapter" / "adapter_model.safetensors", lambda tensors: tensors.update(pair))
    with pytest.raises(CheckpointError, match=rf"has the tensor {deeper} \[8, 48\], which the base model lacks"):
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
