# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One stage: a model, its objective and its data in the Hugging Face Trainer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments, set_seed
from transformers.trainer import TRAINER_STATE_NAME

from videollm_ros.data.sources import Source, fingerprints, max_tokens
from videollm_ros.live import LiveModel
from videollm_ros.live.cache import trained_range
from videollm_ros.training.config import StageConfig, TrainConfig
from videollm_ros.training.objective import StreamingObjective
from videollm_ros.training.settings import write_settings
from videollm_ros.training.simulator.auxiliary_losses import EventLoss, StateLoss, remove_hooks
from videollm_ros.training.simulator.scene import SceneObjective
from videollm_ros.training.stage_data import read_sources, training_data
from videollm_ros.training.trainable import set_trainable
from videollm_ros.training.trainer import ObjectiveTrainer, cast_parameters
from videollm_ros.training.validation import Validator
from videollm_ros.training.yaml_dataclass import ConfigError


def train_stage(
    model: LiveModel, stage: StageConfig, folder: Path, config: TrainConfig, sources: Sequence[Source] | None = None
) -> ObjectiveTrainer:
    """Train one stage in place. Resume from the folder's newest checkpoint where there is one.

    Args:
        model: what the stage starts from.
        stage: its settings.
        folder: of the stage.
        config: of the run.
        sources: what `stage_data.read_sources` returned for the stage. None to read them now.

    Raises:
        ConfigError, DialogueError: see `run.train`.
    """
    set_seed(config.seed)
    arguments = training_arguments(stage, folder, config.seed)
    objective = make_objective(model, stage)
    if sources is None:
        sources = read_sources(stage, model, config.seed)
    dataset, collate = training_data(stage, model, config.seed, sources, arguments.device)
    validator = None if stage.evaluation is None else Validator(model, stage.evaluation)
    trainer = ObjectiveTrainer(objective, arguments, validator, train_dataset=dataset, data_collator=collate)
    if validator is not None and (trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled):
        raise ConfigError(f"stage {stage.name}: no evaluation under FSDP and DeepSpeed; evaluate the finished model")
    if trainer.is_fsdp_enabled:
        cast_parameters(objective, getattr(torch, config.model.dtype))
    if trainer.is_world_process_zero():
        write_settings(folder, stage, config, fingerprints(stage.data))
    try:
        trainer.train(resume_from_checkpoint=_newest_checkpoint(folder))
    finally:
        remove_hooks(objective)
    return trainer


def make_objective(model: LiveModel, stage: StageConfig) -> SceneObjective | StreamingObjective:
    """Return the stage's objective, with what is trained in it unfrozen."""
    if stage.task == "scene":
        set_trainable(model, replace(stage.trainable, llm="none", vision=True), "")
        return SceneObjective(model.vision)
    set_trainable(model, stage.trainable, model.config.llm, stage.gradient_checkpointing)
    positions = _trained_positions(model, stage)
    model.config = replace(model.config, stream_loss_weight=stage.stream_loss_weight, max_positions=positions)
    return StreamingObjective(
        model,
        stage.stream_loss_weight,
        EventLoss(model) if "event" in stage.auxiliary_losses else None,
        StateLoss(model) if "state" in stage.auxiliary_losses else None,
    )


def training_arguments(stage: StageConfig, folder: Path, seed: int) -> TrainingArguments:
    """Return the Trainer's settings of a stage.

    Raises:
        ConfigError: a setting that the Trainer does not know or refuses, or several GPUs in one process.
    """
    settings: dict[str, Any] = {
        "report_to": "tensorboard",
        "use_cpu": not torch.cuda.is_available(),
        "logging_steps": 10,
        "seed": seed,
        "remove_unused_columns": False,
        "save_total_limit": 2,
        "ddp_find_unused_parameters": False,
        "eval_strategy": "no" if stage.evaluation is None else "epoch",
        **{name: _number(value) for name, value in stage.trainer.items()},
    }
    try:
        arguments = TrainingArguments(output_dir=str(folder), **settings)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"stage {stage.name}: trainer: {error}") from error
    if arguments.n_gpu > 1:
        raise ConfigError(
            f"this process sees {arguments.n_gpu} GPUs: start one process per GPU with torchrun or accelerate launch, "
            "or choose a GPU with CUDA_VISIBLE_DEVICES"
        )
    return arguments


def _trained_positions(model: LiveModel, stage: StageConfig) -> int | None:
    """Return the positions that the model will have been trained on, when its decoder's configuration names fewer."""
    longest = max_tokens(stage.data, model)
    is_new = longest > trained_range(model.llm.config.get_text_config())
    return max(longest, model.config.max_positions or 0) if is_new else model.config.max_positions


def _newest_checkpoint(folder: Path) -> str | None:
    """Return where a stage goes on. The Trainer writes its state last: a checkpoint without it is half written."""
    complete = {
        int(path.parent.name.split("-")[1]): path.parent for path in folder.glob(f"checkpoint-*/{TRAINER_STATE_NAME}")
    }
    return str(complete[max(complete)]) if complete else None


def _number(value: Any) -> Any:
    """Return a number that YAML takes for text, such as 2e-4 without a point, as a number."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value
