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
from collections.abc import Sequence
from pathlib import Path

import torch
from accelerate import PartialState
from transformers import set_seed

from videollm_ros.data.sources import Source, fingerprints
from videollm_ros.live import LiveModel
from videollm_ros.training.config import ModelConfig, StageConfig, TrainConfig
from videollm_ros.training.output import is_adapted, write_checkpoint, write_half
from videollm_ros.training.settings import check_settings, data_has_changed
from videollm_ros.training.stage import make_objective, train_stage, training_arguments
from videollm_ros.training.stage_data import read_sources
from videollm_ros.training.start import has_own_tower, load_start
from videollm_ros.training.trainable import check_trainable, keeps_adapter
from videollm_ros.training.trainer import WEIGHTS_NAME, ObjectiveTrainer, load_trained
from videollm_ros.training.validation import Validator
from videollm_ros.training.yaml_dataclass import ConfigError

FINAL_MODEL = "model"
log = logging.getLogger(__name__)


def train(config: TrainConfig, stop_after: str | None = None) -> Path:
    """Run all stages. Finished ones are skipped, an unfinished one goes on where it was killed.

    A stage whose data file has changed is not finished. Its old work and that of the stages after it is moved aside.

    Args:
        config: of the run.
        stop_after: name of the last stage to run. None for all.

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
    process = PartialState(cpu=not torch.cuda.is_available())
    if process.is_main_process:
        _move_outdated_aside(config)
    process.wait_for_everyone()
    last = len(names) if stop_after is None else 1 + names.index(stop_after)
    _run_stages(range(_first_unfinished(last, config), last + 1), config, process)
    finished = _folder(last, config) / FINAL_MODEL
    # Every process is here, also those of a run in which no stage was left to train.
    if process.is_main_process and _is_outdated(output / FINAL_MODEL, finished):
        write_half(finished, output / FINAL_MODEL)
    process.wait_for_everyone()
    return output / FINAL_MODEL


def _folder(number: int, config: TrainConfig) -> Path:
    return Path(config.output) / f"{number}-{config.stages[number - 1].name}"


def _move_outdated_aside(config: TrainConfig) -> None:
    """Move the work of the first stage whose data has changed, and of those after it, to folders of other names."""
    numbers = range(1, len(config.stages) + 1)
    changed = [
        number
        for number in numbers
        if data_has_changed(_folder(number, config), fingerprints(config.stages[number - 1].data))
    ]
    if not changed:
        return
    for number in numbers:
        check_settings(_folder(number, config), config.stages[number - 1], config)
    log.info("the data of stage %s has changed: it is trained again", config.stages[changed[0] - 1].name)
    for number in numbers[changed[0] - 1 :]:
        folder = _folder(number, config)
        if folder.exists():
            copies = len(list(folder.parent.glob(f"{folder.name}.old-*")))
            log.info("%s was moved to %s", folder, folder.rename(f"{folder}.old-{copies + 1}"))


def _first_unfinished(last: int, config: TrainConfig) -> int:
    """Return the number (from 1) of the first stage up to `last` that is to be trained, or last + 1.

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


def _run_stages(numbers: range, config: TrainConfig, process: PartialState) -> None:
    """Train the stages `numbers` (from 1). What is wrong with any of them is said before the first one begins."""
    if not numbers:
        return
    model: LiveModel | None = _start_of(numbers[0], config)
    log.info("reading the dialogues of all stages")
    sources: dict[int, Sequence[Source]] = {}
    for number in numbers:
        stage = config.stages[number - 1]
        training_arguments(stage, _folder(number, config), config.seed)
        if model is not None:
            check_trainable(model, stage.trainable)
            with process.local_main_process_first():  # one process of a machine makes the index of a file
                sources[number] = read_sources(stage, model, config.seed)
            if stage.evaluation is not None:
                Validator(model, stage.evaluation)
    for number in numbers:
        model = _run_stage(number, model, config, sources.pop(number))


def _run_stage(
    number: int, model: LiveModel | None, config: TrainConfig, sources: Sequence[Source]
) -> LiveModel | None:
    """Train stage `number` (from 1) and write its model.

    Returns:
        the model for the next stage; None when that has to be read from what was written.
    """
    stage, folder = config.stages[number - 1], _folder(number, config)
    if model is None:
        model = _start_of(number, config)
    is_untouched = _base_stays_untouched(number, model, stage, config)
    log.info("stage %d of %d: %s", number, len(config.stages), stage.name)
    trainer = train_stage(model, stage, folder, config, sources)
    if trainer.is_fsdp_enabled:
        model = _gathered(trainer, stage, _start_of(number, config))
    must_be_read = is_adapted(model) or trainer.is_fsdp_enabled
    trainer.accelerator.wait_for_everyone()
    if trainer.is_world_process_zero():
        with_tower = stage.trainable.vision or has_own_tower(model)
        write_checkpoint(model, folder / FINAL_MODEL, base_is_untouched=is_untouched, vision_learned=with_tower)
    trainer.accelerator.wait_for_everyone()
    return None if must_be_read else model


def _base_stays_untouched(number: int, model: LiveModel, stage: StageConfig, config: TrainConfig) -> bool:
    """Return whether an adapter of this stage fits the base that it names: bare parts, or a kept adapter's base."""
    from_parts = number == 1 and config.model.checkpoint is None and config.model.scratch is None
    return from_parts or keeps_adapter(model, stage.trainable)


def _is_outdated(final: Path, finished: Path) -> bool:
    """Return whether the model `final` is missing, or older than the model `finished` that it was made from."""
    return not final.exists() or final.stat().st_mtime_ns < finished.stat().st_mtime_ns


def _gathered(trainer: ObjectiveTrainer, stage: StageConfig, start: LiveModel) -> LiveModel:
    """Collect what was trained from the processes that FSDP spread it over, and put it into a whole model."""
    folder = Path(str(trainer.args.output_dir)) / "trained"
    trainer.save_model(str(folder))
    trainer.accelerator.wait_for_everyone()  # one process writes, all read
    load_trained(make_objective(start, stage), folder / WEIGHTS_NAME)
    return start


def _start_of(number: int, config: TrainConfig) -> LiveModel:
    """Load the model that stage `number` (from 1) starts from."""
    trainable = config.stages[number - 1].trainable
    if number == 1:
        return load_start(config.model, trainable)
    before = str(_folder(number - 1, config) / FINAL_MODEL)
    return load_start(ModelConfig(checkpoint=before, dtype=config.model.dtype), trainable)
