# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a run leaves behind: an adapter folder in the published layout after LoRA, else a self-contained folder.

A folder appears under its name when all of it is written, so that what a killed run left half written is not taken
for a model.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from videollm_ros.live import LiveModel
from videollm_ros.live.adapter import ADAPTER_WEIGHTS, write_adapter

_VISION = "vision"
log = logging.getLogger(__name__)


def is_adapted(model: LiveModel) -> bool:
    """Whether the decoder carries a LoRA adapter."""
    return hasattr(model.llm, "peft_config")


def write_checkpoint(model: LiveModel, folder: str | Path, *, base_is_untouched: bool, vision_learned: bool) -> None:
    """Write what `LiveModel.from_pretrained` loads. A LoRA adapter that is not written as one is merged, in place.

    Args:
        model: what was trained.
        folder: replaced when all is written.
        base_is_untouched: the parts that did not learn are those that `model.config` names. An adapter on anything else
            would be put on another model when it is loaded: then the folder holds the whole, merged model.
        vision_learned: write the vision tower into an adapter folder as well, since the original is another one.
    """
    with _appearing(Path(folder)) as partial:
        if is_adapted(model) and base_is_untouched:
            _write_adapter(model, partial, vision_learned)
            return
        if is_adapted(model):
            log.info(
                "%s: training did not start from bare published parts, so the whole, merged model is written", folder
            )
        merge_adapter(model).save_pretrained(partial)


def write_half(checkpoint: str | Path, folder: str | Path) -> None:
    """Write a checkpoint of `write_checkpoint` once more, in half precision."""
    checkpoint = Path(checkpoint)
    with _appearing(Path(folder)) as partial:
        if (checkpoint / ADAPTER_WEIGHTS).exists():
            shutil.copytree(checkpoint, partial, dirs_exist_ok=True)
            tensors = load_file(checkpoint / ADAPTER_WEIGHTS)
            save_file({name: tensor.half() for name, tensor in tensors.items()}, partial / ADAPTER_WEIGHTS)
        else:
            LiveModel.from_pretrained(checkpoint, device="cpu", dtype=torch.float16).save_pretrained(partial)


def merge_adapter(model: LiveModel) -> LiveModel:
    """The model with its adapter merged into the decoder; the given one is used up."""
    if is_adapted(model):
        decoder: Any = model.llm  # a PeftModel
        model.llm = decoder.merge_and_unload()
    return model


@contextmanager
def _appearing(folder: Path) -> Iterator[Path]:
    """An empty folder to write to, which takes the place of `folder` when nothing went wrong."""
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    yield partial
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def _write_adapter(model: LiveModel, folder: Path, vision_learned: bool) -> None:
    write_adapter(model.llm, model.connector, folder)
    config = model.config
    if vision_learned:
        model.vision.tower.save_pretrained(folder / _VISION)
        config = replace(config, vision=_VISION)
    config.save(folder)
