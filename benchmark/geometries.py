# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Models to measure with: the sizes of real ones, random weights, no download."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import (
    AutoConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    SiglipVisionConfig,
    SiglipVisionModel,
)

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from videollm_ros.live import LiveConfig, LiveModel  # noqa: E402
from videollm_ros.live.model import make_connector  # noqa: E402
from videollm_ros.live.vision import VisionEncoder  # noqa: E402

_SIGLIP_LARGE_384 = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "image_size": 384,
    "patch_size": 16,
}
_LLAMA3_SCALING = {
    "rope_type": "llama3",
    "factor": 32.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
_LLMS = {
    "1b": {  # Llama-3.2-1B
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 64,
        "vocab_size": 128256,
        "max_position_embeddings": 131072,
        "tie_word_embeddings": True,
        "rope_parameters": {**_LLAMA3_SCALING, "rope_theta": 500000.0},
    },
    "8b": {  # Llama-3-8B
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "vocab_size": 128256,
        "max_position_embeddings": 8192,
        "rope_parameters": {"rope_type": "default", "rope_theta": 500000.0},
    },
}
GEOMETRIES = ("demo", *_LLMS)


def build(geometry: str, device: torch.device, dtype: torch.dtype) -> LiveModel:
    """A model of that geometry with random weights. `demo` has the sizes of the checkpoint that ships."""
    torch.manual_seed(0)
    if geometry == "demo":
        folder = ROOT / "checkpoints" / "demo"
        vision_config = AutoConfig.from_pretrained(folder / "vision")
        llm_config = AutoConfig.from_pretrained(folder / "llm")
        config = LiveConfig.load(folder / "live_config.json")
        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder / "llm")
    else:
        vision_config = SiglipVisionConfig(**_SIGLIP_LARGE_384)
        llm_config = LlamaConfig(**_LLMS[geometry])
        config = LiveConfig()
        tokenizer = _tokenizer()
    with torch.device(device):
        torch.set_default_dtype(dtype)
        try:
            llm, tower = LlamaForCausalLM(llm_config), SiglipVisionModel(vision_config)
            connector = make_connector(vision_config.hidden_size, llm_config.hidden_size)
        finally:
            torch.set_default_dtype(torch.float32)
    model = LiveModel(config, VisionEncoder(tower, config), connector, llm, tokenizer)
    return model.requires_grad_(False).eval().to(device)


def _tokenizer() -> PreTrainedTokenizerFast:
    """Bytes, and `]\\n` as the one token that it is for Llama-3: prompts as long as need be, words do not matter."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: index for index, letter in enumerate([*alphabet, "]Ċ"])}
    tokenizer = Tokenizer(models.BPE(vocabulary, [("]", "Ċ")]))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(r"\]\n|."), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<|begin_of_text|>", eos_token="<|eot_id|>")


def count_parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
