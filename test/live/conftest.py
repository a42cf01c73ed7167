# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The models of these tests: the golden checkpoint, and random ones of any geometry that are ready in milliseconds."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedModel, SiglipVisionConfig
from transformers import SiglipVisionModel as SiglipTower

from videollm_ros.live import LiveConfig, LiveModel
from videollm_ros.live.model import make_connector
from videollm_ros.live.vision import VisionEncoder

GOLDENS = Path(__file__).parents[1] / "goldens" / "live1plus"

SMALL = LiveConfig(frame_resolution=32, frame_token_pooled=(1, 2), system_prompt="Watch.")
"""A frame of three tokens and an interval."""


@pytest.fixture
def parts(tmp_path) -> Path:
    """A copy of the golden checkpoint's adapter/, base/ and vision/, to be spoiled."""
    return shutil.copytree(GOLDENS, tmp_path / "goldens", ignore=shutil.ignore_patterns("tensors*", "expected*"))


@pytest.fixture
def saved(golden_model, tmp_path) -> Path:
    """The golden model as a self-contained folder, to be spoiled."""
    golden_model.save_pretrained(tmp_path / "saved")
    return tmp_path / "saved"


@pytest.fixture(scope="session")
def tokenizer():
    return AutoTokenizer.from_pretrained(GOLDENS / "base")


@pytest.fixture(scope="session")
def random_llm(tokenizer) -> Callable[..., PreTrainedModel]:
    """A causal LM with random weights; sizes and options of its configuration can be given."""

    def build(llm_class=LlamaForCausalLM, config_class=LlamaConfig, **options) -> PreTrainedModel:
        sizes = {
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 2048,
            "initializer_range": 0.2,
        }
        torch.manual_seed(0)
        llm = llm_class(config_class(**{**sizes, **options})).eval().requires_grad_(False)
        for parameter in llm.parameters():
            if parameter.ndim == 1:  # biases start as zeros and norms as ones, which hides what goes wrong with them
                parameter += 0.2 * torch.randn_like(parameter)
        return llm

    return build


@pytest.fixture(scope="session")
def compose(tokenizer, random_llm) -> Callable[..., LiveModel]:
    """A LIVE model with random weights around a decoder (a random Llama unless given)."""

    def build(llm: PreTrainedModel | None = None, config: LiveConfig = SMALL, **changes) -> LiveModel:
        config = replace(config, **changes)
        llm = llm or random_llm()
        torch.manual_seed(1)
        tower = SiglipTower(
            SiglipVisionConfig(
                hidden_size=16,
                intermediate_size=24,
                num_hidden_layers=1,
                num_attention_heads=2,
                image_size=config.frame_resolution,
                patch_size=16,
            )
        )
        connector = make_connector(16, llm.config.hidden_size)
        model = LiveModel(config, VisionEncoder(tower, config), connector, llm, tokenizer)
        return model.requires_grad_(False).eval()

    return build


@pytest.fixture(scope="session")
def lean_towards() -> Callable[..., LiveModel]:
    """Adds to the logits of some tokens, so that a random model does what a test is about: {token id: logit}."""

    def lean(model: LiveModel, biases: dict[int, float]) -> LiveModel:
        head = model.llm.get_output_embeddings()
        bias = torch.zeros(head.out_features)
        for token_id, logit in biases.items():
            bias[token_id] = logit
        head.bias = nn.Parameter(bias, requires_grad=False)
        return model

    return lean
