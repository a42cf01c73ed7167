# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A new, small LIVE model: a SigLIP tower, a Llama decoder and a tokenizer made from the simulator's sentences."""

from __future__ import annotations

import itertools

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, SiglipVisionConfig, SiglipVisionModel

from videollm_ros.live import LiveConfig, LiveModel
from videollm_ros.live.model import make_connector
from videollm_ros.live.vision import VisionEncoder
from videollm_ros.sim import sentences
from videollm_ros.training.config import ScratchConfig

BOS, EOS, PAD = "<|begin_of_text|>", "<|eot_id|>", "<|finetune_right_pad_id|>"
_LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def make_model(config: ScratchConfig) -> LiveModel:
    """An untrained model; `transformers.set_seed` before it makes it the same every time.

    Raises:
        ValueError: parts that do not fit each other.
    """
    live = LiveConfig(**config.live)
    tokenizer = make_tokenizer(_corpus(live.system_prompt), config.vocabulary_size)
    vision = SiglipVisionModel(SiglipVisionConfig(image_size=live.frame_resolution, **config.vision))
    llm = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            **config.llm,
        )
    )
    connector = make_connector(vision.config.hidden_size, llm.config.hidden_size)
    return LiveModel(live, VisionEncoder(vision, live), connector, llm, tokenizer)


def make_tokenizer(texts: list[str], vocabulary_size: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer with Llama-3's way of splitting text and names of special tokens."""
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
    """Every sentence as it stands after a user's or the assistant's name, and what stands between turns."""
    turns = [f"]\nUser: {text}\nAssistant: {text}" for text in sentences()]
    return list(itertools.chain([system_prompt] * 100, ["\n\nUser: ", "\n\n[", "\n[", "]\n"] * 100, turns))
