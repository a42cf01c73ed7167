# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Make models of the sizes of real ones with random weights, without a download.

python benchmark/geometries.py qwen2.5-0.5b     # save, load, observe frames and reply
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    CLIPVisionConfig,
    LlamaConfig,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
    SiglipVisionConfig,
)

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from videollm_ros.live import LiveConfig, LiveModel, StreamSession  # noqa: E402
from videollm_ros.live.connector import make_connector  # noqa: E402
from videollm_ros.live.vision import TOWER_FAMILIES, VisionEncoder  # noqa: E402

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
_SIGLIP_BASE_384 = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "image_size": 384,
    "patch_size": 16,
}
_CLIP_LARGE_336 = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "image_size": 336,
    "patch_size": 14,
    "projection_dim": 768,
}
_LLAMA3_1B = {  # Llama-3.2-1B
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
}
_LLAMA3_8B = {
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 8192,
    "rope_parameters": {"rope_type": "default", "rope_theta": 500000.0},
}
_LLAMA2_7B = {
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "vocab_size": 32000,
    "max_position_embeddings": 4096,
    "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
}
_QWEN_COMMON = {
    "num_key_value_heads": 2,
    "vocab_size": 151936,
    "max_position_embeddings": 32768,
    "tie_word_embeddings": True,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0},
}
_QWEN_05B = {"hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24, "num_attention_heads": 14}
_QWEN_15B = {"hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28, "num_attention_heads": 12}


@dataclass(frozen=True)
class Geometry:
    """The sizes of a model."""

    llm: PreTrainedConfig
    tower: PreTrainedConfig
    config: LiveConfig = field(default_factory=LiveConfig)


def _large(llm: PreTrainedConfig) -> Geometry:
    return Geometry(llm, SiglipVisionConfig(**_SIGLIP_LARGE_384))


_LIVE1 = {"frame_token_pooled": None, "frame_token_interval": ""}
_BASE: dict[str, Any] = {"vision": "google/siglip-base-patch16-384"}
_MAKERS = {
    "1b": lambda: _large(LlamaConfig(**_LLAMA3_1B)),
    "8b": lambda: _large(LlamaConfig(**_LLAMA3_8B)),
    "llama3.2-1b-siglip-base": lambda: Geometry(
        LlamaConfig(**_LLAMA3_1B), SiglipVisionConfig(**_SIGLIP_BASE_384), LiveConfig(**_BASE)
    ),
    "qwen2.5-0.5b": lambda: _large(Qwen2Config(**_QWEN_05B, **_QWEN_COMMON)),
    "qwen2.5-1.5b": lambda: _large(Qwen2Config(**_QWEN_15B, **_QWEN_COMMON)),
    "7b_v1": lambda: Geometry(
        LlamaConfig(**_LLAMA2_7B), CLIPVisionConfig(**_CLIP_LARGE_336), LiveConfig(frame_resolution=336, **_LIVE1)
    ),
}
GEOMETRIES = ("demo", *_MAKERS)


def build(geometry: str, device: torch.device, dtype: torch.dtype) -> LiveModel:
    """Make a model of a geometry with random weights. `demo` has the sizes of the checkpoint that ships."""
    torch.manual_seed(0)
    if geometry == "demo":
        folder = ROOT / "checkpoints" / "demo"
        llm_config, tower_config = (AutoConfig.from_pretrained(folder / part) for part in ("llm", "vision"))
        sizes = Geometry(llm_config, tower_config, LiveConfig.load(folder / "live_config.json"))
        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder / "llm")
    else:
        sizes, tokenizer = _MAKERS[geometry](), _tokenizer()
    with torch.device(device):
        torch.set_default_dtype(dtype)
        try:
            llm = AutoModelForCausalLM.from_config(sizes.llm, dtype=dtype)  # not the one that it was saved in
            tower = TOWER_FAMILIES[sizes.tower.model_type].model_class(sizes.tower)
            connector = make_connector(sizes.tower.hidden_size, sizes.llm.hidden_size)
        finally:
            torch.set_default_dtype(torch.float32)
    model = LiveModel(sizes.config, VisionEncoder(tower, sizes.config), connector, llm, tokenizer)
    return model.requires_grad_(False).eval().to(device)


def _tokenizer() -> PreTrainedTokenizerFast:
    """Make a tokenizer of bytes, with `]\\n` as the one token that it is for Llama-3. Words do not matter here."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: index for index, letter in enumerate([*alphabet, "]Ċ"])}
    tokenizer = Tokenizer(models.BPE(vocabulary, [("]", "Ċ")]))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(r"\]\n|."), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<|begin_of_text|>", eos_token="<|eot_id|>")


def count_parameters(module: torch.nn.Module) -> int:
    """Return the number of weights."""
    return sum(parameter.numel() for parameter in module.parameters())


def try_out(geometry: str, device: torch.device, dtype: torch.dtype) -> dict[str, float]:
    """Save a model, load it, observe three frames with a query, and return how long it took.

    Raises:
        RuntimeError: the query was not answered.
    """
    with tempfile.TemporaryDirectory() as folder:
        build(geometry, torch.device("cpu"), dtype).save_pretrained(folder)
        began = time.perf_counter()
        model = LiveModel.from_pretrained(folder, device=device, dtype=dtype)
        load_seconds = time.perf_counter() - began
        session = StreamSession(model, max_new_tokens=4)
        session.ask("What is it?", stamp=0.75)
        frames = torch.randint(256, (3, 3, 480, 640), dtype=torch.uint8)
        began = time.perf_counter()
        utterances = [said for index in range(3) for said in session.observe(frames[index], index / 2)]
        if not any(said.query for said in utterances):
            raise RuntimeError(f"geometry {geometry}: the query was not answered")
        return {
            "parameters": count_parameters(model),
            "load_seconds": load_seconds,
            "stream_seconds": time.perf_counter() - began,
        }


def main() -> None:
    """Try geometries from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("geometry", nargs="+", choices=GEOMETRIES)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    given = parser.parse_args()
    for geometry in given.geometry:
        figures = try_out(geometry, torch.device(given.device), torch.bfloat16)
        print(geometry, "  ".join(f"{name} {value:.4g}" for name, value in figures.items()), flush=True)


if __name__ == "__main__":
    main()
