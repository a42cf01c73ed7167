# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A whole run: the model, its stages one after another, and what is left in the output folder.

<output>/<n>-<stage>/checkpoint-<step>/    where a killed run goes on
<output>/<n>-<stage>/settings.json         what the stage was trained with
<output>/<n>-<stage>/model/                the model after the stage
<output>/model/                            the model after the last stage, in half precision
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from accelerate import PartialState
from transformers import TrainingArguments, set_seed
from transformers.trainer import TRAINER_STATE_NAME

from videollm_ros.live import LiveModel
from videollm_ros.live.checkpoint import load_llm, load_tokenizer, load_vision_tower
from videollm_ros.live.model import make_connector
from videollm_ros.live.vision import VisionEncoder
from videollm_ros.training.config import (
    ConfigError,
    EvaluationConfig,
    ModelConfig,
    StageConfig,
    TrainConfig,
    live_config,
)
from videollm_ros.training.learnable import set_learnable
from videollm_ros.training.lessons import EventLesson, StateLesson, forget_lessons
from videollm_ros.training.objective import StreamingObjective
from videollm_ros.training.output import is_adapted, write_checkpoint, write_half
from videollm_ros.training.samples import Source
from videollm_ros.training.scene import SceneObjective
from videollm_ros.training.scratch import make_model
from videollm_ros.training.settings import check_settings, write_settings
from videollm_ros.training.stage_data import read_sources, training_data
from videollm_ros.training.trainer import WEIGHTS_NAME, HeldOut, ObjectiveTrainer, in_one_dtype, load_learned

FINAL_MODEL = "model"
HoldOut = Callable[[LiveModel, EvaluationConfig], HeldOut]
log = logging.getLogger(__name__)


def train(config: TrainConfig, stop_after: str | None = None, hold_out: HoldOut | None = None) -> Path:
    """Run all stages; those that are finished already are skipped, an unfinished one goes on where it was killed.

    Args:
        stop_after: name of the last stage to run; None for all.
        hold_out: makes what a stage's `evaluation` is measured on: `evaluation.held_out.HeldOut`.

    Returns:
        the folder of the final model.

    Raises:
        ConfigError, DialogueError, CheckpointError: in sentences.
    """
    names = [stage.name for stage in config.stages]
    if stop_after is not None and stop_after not in names:
        raise ConfigError(f"there is no stage {stop_after!r} to stop after; the stages are {', '.join(names)}")
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    output = Path(config.output)
    set_seed(config.seed)
    last = len(names) if stop_after is None else 1 + names.index(stop_after)
    _run_stages(range(_first_unfinished(last, config), last + 1), config, hold_out)
    finished = _folder(last, config) / FINAL_MODEL
    # Every process is here, also those of a run in which no stage was left to train.
    process = PartialState(cpu=not torch.cuda.is_available())
    if process.is_main_process and _is_outdated(output / FINAL_MODEL, finished):
        write_half(finished, output / FINAL_MODEL)
    process.wait_for_everyone()
    return output / FINAL_MODEL


def _folder(number: int, config: TrainConfig) -> Path:
    return Path(config.output) / f"{number}-{config.stages[number - 1].name}"


def _first_unfinished(last: int, config: TrainConfig) -> int:
    """Number (from 1) of the first of the stages up to `last` that is to be trained; last + 1 when none is.

    Raises:
        ConfigError: a stage was trained with other settings, or from another model of the stage before it.
    """
    first, before = last + 1, None
    for number, stage in enumerate(config.stages[:last], start=1):
        finished = _folder(number, config) / FINAL_MODEL
        check_settings(finished.parent, stage, config)
        if not finished.exists():
            first = min(first, number)
        elif first < number or (before is not None and _is_outdated(finished, before)):
            raise ConfigError(f"{finished.parent} was trained from an older model of the stage before it; delete it")
        else:
            log.info("stage %d of %d: %s is finished already: %s", number, len(config.stages), stage.name, finished)
        before = finished
    return first


def _run_stages(numbers: range, config: TrainConfig, hold_out: HoldOut | None) -> None:
    """Train the stages `numbers` (from 1). What is wrong with their data or their trainer's settings is said before the
    first one begins."""
    if not numbers:
        return
    model: LiveModel | None = _start_of(numbers[0], config)
    log.info("reading the dialogues of all stages")
    sources = {}
    for number in numbers:
        stage = config.stages[number - 1]
        _arguments(stage, _folder(number, config), config.seed)
        _held_out(stage, model, hold_out)
        sources[number] = read_sources(stage, model, config.seed)
    for number in numbers:
        model = _run_stage(number, model, config, hold_out, sources.pop(number))


def _run_stage(
    number: int, model: LiveModel | None, config: TrainConfig, hold_out: HoldOut | None, sources: list[Source]
) -> LiveModel | None:
    """Train stage `number` (from 1) and write its model.

    Returns:
        the model for the next stage; None when that has to be read from what was written.
    """
    stage, folder = config.stages[number - 1], _folder(number, config)
    if model is None:
        model = _start_of(number, config)
    log.info("stage %d of %d: %s", number, len(config.stages), stage.name)
    trainer = train_stage(model, stage, folder, config, hold_out, sources)
    if trainer.is_fsdp_enabled:
        model = _gathered(trainer, stage, _start_of(number, config), config)
    must_be_read = is_adapted(model) or trainer.is_fsdp_enabled
    trainer.accelerator.wait_for_everyone()
    if trainer.is_world_process_zero():
        untouched = number == 1 and config.model.checkpoint is None and config.model.scratch is None
        write_checkpoint(model, folder / FINAL_MODEL, base_is_untouched=untouched, vision_learned=stage.learn.vision)
    trainer.accelerator.wait_for_everyone()
    return None if must_be_read else model


def _is_outdated(final: Path, finished: Path) -> bool:
    """Whether the model `final` is missing, or older than the model `finished` that it was made from."""
    return not final.exists() or final.stat().st_mtime_ns < finished.stat().st_mtime_ns


def train_stage(
    model: LiveModel,
    stage: StageConfig,
    folder: Path,
    config: TrainConfig,
    hold_out: HoldOut | None = None,
    sources: list[Source] | None = None,
) -> ObjectiveTrainer:
    """Train one stage in place, resuming from the folder's newest checkpoint where there is one.

    Args:
        sources: what `stage_data.read_sources` gave for the stage; None to read them now.

    Raises:
        ConfigError, DialogueError: see `train`.
    """
    set_seed(config.seed)
    arguments = _arguments(stage, folder, config.seed)
    objective = _objective(model, stage, config)
    if sources is None:
        sources = read_sources(stage, model, config.seed)
    dataset, collate = training_data(stage, model, config.seed, sources, arguments.device)
    held_out = _held_out(stage, model, hold_out)
    trainer = ObjectiveTrainer(objective, arguments, held_out, train_dataset=dataset, data_collator=collate)
    if held_out is not None and (trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled):
        raise ConfigError(f"stage {stage.name}: no evaluation under FSDP and DeepSpeed; evaluate the finished model")
    if trainer.is_fsdp_enabled:
        in_one_dtype(objective, getattr(torch, config.model.dtype))
    if trainer.is_world_process_zero():
        write_settings(folder, stage, config)
    try:
        trainer.train(resume_from_checkpoint=_newest_checkpoint(folder))
    finally:
        forget_lessons(objective)
    return trainer


def _newest_checkpoint(folder: Path) -> str | None:
    """Where a stage goes on. The state is what the Trainer writes last: without it, a kill left half a checkpoint."""
    whole = {
        int(path.parent.name.split("-")[1]): path.parent for path in folder.glob(f"checkpoint-*/{TRAINER_STATE_NAME}")
    }
    return str(whole[max(whole)]) if whole else None


def _held_out(stage: StageConfig, model: LiveModel, hold_out: HoldOut | None) -> HeldOut | None:
    if stage.evaluation is None:
        return None
    if hold_out is None:
        raise ConfigError(f"stage {stage.name}: its evaluation needs hold_out, for example evaluation.held_out.HeldOut")
    return hold_out(model, stage.evaluation)


def load_start(config: ModelConfig) -> LiveModel:
    """The model that training starts from, on the CPU; the Trainer moves it.

    Raises:
        CheckpointError: a part that is not there. ConfigError: a setting, or parts that do not fit each other.
    """
    if config.scratch is not None:
        return make_model(config.scratch)
    if config.checkpoint is not None:
        return LiveModel.from_pretrained(
            config.checkpoint, llm=config.llm, vision=config.vision, device="cpu", dtype=config.dtype
        )
    dtype = getattr(torch, config.dtype)
    # Where the parts are is written into the output, which is read from other places.
    places = {"llm": _absolute(config.llm), "vision": _absolute(config.vision)}
    live = live_config(config.live, "model.live", **places)
    tower, llm = load_vision_tower(live.vision, dtype), load_llm(live.llm, dtype)
    connector = make_connector(tower.config.hidden_size, llm.config.hidden_size).to(dtype)
    tokenizer = load_tokenizer(live.llm)
    try:
        return LiveModel(live, VisionEncoder(tower, live), connector, llm, tokenizer)
    except ValueError as error:
        raise ConfigError(f"model: {error}") from error


def _absolute(source: str) -> str:
    """A folder as an absolute path, a hub id as it is."""
    folder = Path(source).expanduser()
    return str(folder.resolve()) if folder.is_dir() else source


def _gathered(trainer: ObjectiveTrainer, stage: StageConfig, start: LiveModel, config: TrainConfig) -> LiveModel:
    """FSDP spreads parameters over processes: collect what was learned and put it into a whole model."""
    folder = Path(trainer.args.output_dir) / "learned"
    trainer.save_model(str(folder))
    trainer.accelerator.wait_for_everyone()  # one process writes, all read
    load_learned(_objective(start, stage, config), folder / WEIGHTS_NAME)
    return start


def _start_of(number: int, config: TrainConfig) -> LiveModel:
    """The model that stage `number` (from 1) starts from."""
    if number == 1:
        return load_start(config.model)
    return LiveModel.from_pretrained(_folder(number - 1, config) / FINAL_MODEL, device="cpu", dtype=config.model.dtype)


def _arguments(stage: StageConfig, folder: Path, seed: int) -> TrainingArguments:
    settings = {
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


def _number(value: object) -> object:
    """A number that YAML takes for text, such as 2e-4 without a point, as a number."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _objective(model: LiveModel, stage: StageConfig, config: TrainConfig) -> SceneObjective | StreamingObjective:
    """The stage's objective, with what learns in it unfrozen."""
    if stage.task == "scene":
        set_learnable(model, replace(stage.learn, llm="none", vision=True), "")
        return SceneObjective(model.vision)
    set_learnable(model, stage.learn, model.config.llm, stage.gradient_checkpointing)
    model.config = replace(model.config, stream_loss_weight=stage.stream_loss_weight)
    event_lesson = EventLesson(model) if stage.event_lesson else None
    state_lesson = StateLesson(model) if stage.state_lesson else None
    return StreamingObjective(model, stage.stream_loss_weight, event_lesson, state_lesson)
