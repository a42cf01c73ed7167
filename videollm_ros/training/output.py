# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a run leaves behind: an adapter folder in the published layout after LoRA, else a self-contained folder."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file

from videollm_ros.live import LiveModel

_ADAPTER_WEIGHTS = "adapter_model.safetensors"
_VISION = "vision"


def is_adapted(model: LiveModel) -> bool:
    """Whether the decoder carries a LoRA adapter."""
    return hasattr(model.llm, "peft_config")


def write_checkpoint(
    model: LiveModel, folder: str | Path, *, vision_learned: bool, dtype: torch.dtype | None = None
) -> None:
    """Write what `LiveModel.from_pretrained` loads.

    Args:
        vision_learned: write the vision tower into an adapter folder as well, since the original is another one.
        dtype: type to store the weights in; None keeps theirs.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if is_adapted(model):
        _write_adapter(model, folder, vision_learned, dtype)
    else:
        stored = model if dtype is None else copy.deepcopy(model).to(dtype)
        stored.save_pretrained(folder)


def merge_adapter(model: LiveModel) -> LiveModel:
    """The model with its adapter merged into the decoder, for evaluation; the given one is used up."""
    if is_adapted(model):
        model.llm = model.llm.merge_and_unload()
    return model


def _write_adapter(model: LiveModel, folder: Path, vision_learned: bool, dtype: torch.dtype | None) -> None:
    from peft import get_peft_model_state_dict

    adapter = copy.copy(model.llm.peft_config["default"])
    # The published checkpoint was saved from a decoder that had the connector as a child.
    adapter.modules_to_save = ["connector"]
    adapter.inference_mode = True
    adapter.save_pretrained(folder)
    tensors = get_peft_model_state_dict(model.llm)
    for name, tensor in model.connector.state_dict().items():
        tensors[f"base_model.model.connector.{name}"] = tensor
    save_file(
        {name: t.detach().to("cpu", dtype or t.dtype).contiguous() for name, t in tensors.items()},
        folder / _ADAPTER_WEIGHTS,
    )
    config = model.config
    if vision_learned:
        model.vision.tower.save_pretrained(folder / _VISION)
        config = replace(config, vision=_VISION)
    config.save(folder)
