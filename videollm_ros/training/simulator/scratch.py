# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A new, small LIVE model: a SigLIP tower, a Llama decoder and a tokenizer made from the simulator's sentences."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    SiglipVisionConfig,
    SiglipVisionModel,
)

from videollm_ros.live import LiveModel
from videollm_ros.live.connector import make_connector
from videollm_ros.live.vision import VisionEncoder
from videollm_ros.sim import sentences
from videollm_ros.training.config import ScratchConfig, live_config
from videollm_ros.training.yaml_dataclass import ConfigError, check_names

# Transformers reads it, but only later versions declare it.
_UNDECLARED: dict[type, set[str]] = {SiglipVisionConfig: {"vision_use_head"}}
BOS, EOS, PAD = "<|begin_of_text|>", "<|eot_id|>", "<|finetune_right_pad_id|>"
_LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def make_model(config: ScratchConfig) -> LiveModel:
    """Make an untrained model. After `transformers.set_seed` it is the same every time.

    Raises:
        ConfigError: a setting that is unknown or out of its range, or parts that do not fit each other.
    """
    live = live_config(config.live, "model.scratch.live")
    tokenizer = make_tokenizer(_corpus(live.system_prompt), config.vocabulary_size)
    tower_config = _settings(SiglipVisionConfig, config.vision, "vision", image_size=live.frame_resolution)
    tokens = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}
    llm_config = _settings(LlamaConfig, config.llm, "llm", vocab_size=len(tokenizer), **tokens)
    try:
        vision, llm = SiglipVisionModel(tower_config), LlamaForCausalLM(llm_config)
        connector = make_connector(tower_config.hidden_size, llm_config.hidden_size)
        return LiveModel(live, VisionEncoder(vision, live), connector, llm, tokenizer)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ConfigError(f"model.scratch makes no model: {error!r}") from error


def _settings(kind: Any, values: dict[str, Any], name: str, **ours: int) -> Any:
    """Make a configuration of `kind` from the settings model.scratch.`name` and those that follow from others."""
    name = f"model.scratch.{name}"
    declared = {field.name for field in dataclasses.fields(kind)}
    check_names(values, (declared | _UNDECLARED.get(kind, set())) - ours.keys(), name)
    try:
        return kind(**values, **ours)
    except (TypeError, ValueError, StrictDataclassError) as error:
        raise ConfigError(f"{name}: {error}") from error


def make_tokenizer(texts: list[str], vocabulary_size: int) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer that splits text and names special tokens as Llama-3 does."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_LLAMA3_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=[BOS, EOS, PAD],
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=BOS, eos_token=EOS, pad_token=PAD)


def _corpus(system_prompt: str) -> list[str]:
    """Return every sentence as it stands after a user's or the assistant's name, and what stands between turns."""
    turns = [f"]\nUser: {text}\nAssistant: {text}" for text in sentences()]
    return list(itertools.chain([system_prompt] * 100, ["\n\nUser: ", "\n\n[", "\n[", "]\n"] * 100, turns))
