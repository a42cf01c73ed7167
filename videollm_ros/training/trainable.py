# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which parameters are trained: LoRA or all of the decoder, the vision tower or not, the connector always."""

from __future__ import annotations

import logging
from typing import Any

from torch import nn

from videollm_ros.live import LiveModel
from videollm_ros.training.config import LORA_TARGETS, TrainableConfig
from videollm_ros.training.output import is_adapted, merge_adapter
from videollm_ros.training.yaml_dataclass import ConfigError

log = logging.getLogger(__name__)


def set_trainable(
    model: LiveModel, trainable: TrainableConfig, base: str, gradient_checkpointing: bool = False
) -> None:
    """Freeze and unfreeze in place. With LoRA `model.llm` becomes a PeftModel, or goes on being one.

    What is trained is kept in float32: the steps of a usual learning rate are smaller than what bfloat16 can tell
    apart.

    Args:
        model: as it comes from `start.load_start` or from the stage before.
        trainable: what is trained.
        base: where the decoder came from, written into the adapter.
        gradient_checkpointing: compute the decoder's activations again in the backward pass.

    Raises:
        ConfigError: see `lora_targets`.
    """
    if is_adapted(model) and not keeps_adapter(model, trainable):
        merge_adapter(model)
    model.requires_grad_(False)
    model.connector.requires_grad_(True)
    if trainable.vision:
        _train_vision(model)
    if trainable.llm == "all":
        model.llm.requires_grad_(True)
    if gradient_checkpointing:
        model.llm.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    else:
        model.llm.gradient_checkpointing_disable()
    if trainable.llm == "lora" and is_adapted(model):
        for name, parameter in model.llm.named_parameters():
            parameter.requires_grad_("lora_" in name)
    elif trainable.llm == "lora":
        _add_lora(model, trainable, base)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()


def keeps_adapter(model: LiveModel, trainable: TrainableConfig) -> bool:
    """Return whether training goes on with the adapter that the model carries."""
    if not is_adapted(model) or trainable.llm != "lora":
        return False
    adapter: Any = model.llm.peft_config["default"]
    targets = trainable.lora_targets
    same_targets = targets is None or set(targets) == set(adapter.target_modules)
    return (adapter.r, adapter.lora_alpha) == (trainable.lora_r, trainable.lora_alpha) and same_targets


def lora_targets(model: LiveModel, trainable: TrainableConfig) -> list[str]:
    """Return the layers that get LoRA, without the output layer where it is the embedding table as well.

    Raises:
        ConfigError: the decoder has none of a target's name, or the given targets include a tied output layer.
    """
    # Merged into tied weights, an adapter of the output layer would change what the tokens mean as they are read.
    is_tied = model.llm.get_output_embeddings().weight is model.llm.get_input_embeddings().weight
    if trainable.lora_targets is not None and is_tied and "lm_head" in trainable.lora_targets:
        raise ConfigError(
            "trainable.lora_targets: lm_head is the embedding table as well in this decoder; leave it out"
        )
    targets = list(trainable.lora_targets or LORA_TARGETS)
    if trainable.lora_targets is None and is_tied:
        targets.remove("lm_head")
    linear = {name.rsplit(".", 1)[-1] for name, module in model.llm.named_modules() if isinstance(module, nn.Linear)}
    missing = [target for target in targets if target not in linear]
    if missing:
        raise ConfigError(
            f"trainable.lora_targets: the decoder has no linear layer {missing[0]}; it has {', '.join(sorted(linear))}"
        )
    return targets


def check_trainable(model: LiveModel, trainable: TrainableConfig) -> None:
    """Check what will be trained before the first stage begins, and say what is decided for the user.

    Raises:
        ConfigError: see `lora_targets`.
    """
    if trainable.llm != "lora" or keeps_adapter(model, trainable):
        return
    if is_adapted(model):
        log.info(
            "the LoRA settings differ from those of the adapter that training starts from: the adapter is merged, and "
            "the whole model is written; set lora_r, lora_alpha and lora_targets to its values to go on with it"
        )
        return
    if trainable.lora_targets is None and "lm_head" not in lora_targets(model, trainable):
        log.info("the decoder's output layer is its embedding table as well: lm_head gets no LoRA")
    lora_targets(model, trainable)


def _train_vision(model: LiveModel) -> None:
    model.vision.requires_grad_(True)
    for parameter in model.vision.unused_parameters():  # several processes would wait for its gradient
        parameter.requires_grad_(False)


def _add_lora(model: LiveModel, trainable: TrainableConfig, base: str) -> None:
    from peft import LoraConfig, TaskType, get_peft_model

    config = LoraConfig(
        r=trainable.lora_r,
        lora_alpha=trainable.lora_alpha,
        lora_dropout=trainable.lora_dropout,
        target_modules=lora_targets(model, trainable),
        task_type=TaskType.CAUSAL_LM,
        base_model_name_or_path=base,
    )
    adapted: Any = get_peft_model(model.llm, config)
    model.llm = adapted
