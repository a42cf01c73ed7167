# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which parameters learn: LoRA or all of the decoder, the vision tower or not, the connector always."""

from __future__ import annotations

from videollm_ros.live import LiveModel
from videollm_ros.training.config import ConfigError, LearnConfig


def set_learnable(model: LiveModel, learn: LearnConfig, base: str, gradient_checkpointing: bool = False) -> None:
    """Freeze and unfreeze in place; with LoRA `model.llm` becomes a PeftModel. What learns is kept in float32: the
    steps of a usual learning rate are smaller than what bfloat16 can tell apart.

    Args:
        base: where the decoder came from, written into the adapter.

    Raises:
        ConfigError: the decoder has none of the LoRA targets, or uses one of them as its embedding table too.
    """
    model.requires_grad_(False)
    model.connector.requires_grad_(True)
    if learn.vision:
        model.vision.requires_grad_(True)
        # Without a pooled token nothing uses the pooling head, and what is unused must not wait for a gradient.
        head = getattr(model.vision.tower, "head", None) or getattr(
            getattr(model.vision.tower, "vision_model", None), "head", None
        )
        if head is not None and not model.config.frame_token_cls:
            head.requires_grad_(False)
    if learn.llm == "all":
        model.llm.requires_grad_(True)
    if gradient_checkpointing:
        model.llm.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    else:
        model.llm.gradient_checkpointing_disable()
    if learn.llm == "lora":
        _add_lora(model, learn, base)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()


def _add_lora(model: LiveModel, learn: LearnConfig, base: str) -> None:
    from peft import LoraConfig, TaskType, get_peft_model

    shared = model.llm.get_output_embeddings()
    if "lm_head" in learn.lora_targets and shared.weight is model.llm.get_input_embeddings().weight:
        # Merged, it would change what the tokens mean as they are read.
        raise ConfigError("learn.lora_targets: lm_head is the embedding table as well in this decoder; leave it out")
    config = LoraConfig(
        r=learn.lora_r,
        lora_alpha=learn.lora_alpha,
        lora_dropout=learn.lora_dropout,
        target_modules=list(learn.lora_targets),
        task_type=TaskType.CAUSAL_LM,
        base_model_name_or_path=base,
    )
    try:
        model.llm = get_peft_model(model.llm, config)
    except ValueError as error:
        raise ConfigError(f"learn.lora_targets do not fit the decoder {base}: {error}") from error
