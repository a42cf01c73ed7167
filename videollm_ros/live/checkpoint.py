# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Load and save the parts of a model. Two layouts: a published PEFT adapter, and the folder that `save_parts` writes.

    adapter folder       adapter_config.json  adapter_model.safetensors  (live_config.json)
    self-contained       live_config.json  connector.safetensors  llm/  vision/

Only JSON and safetensors are read and no remote code is run: nothing in a checkpoint is ever executed.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, cast

import torch
from safetensors.torch import save_file
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from videollm_ros.live.adapter import (
    ADAPTER_CONFIG,
    CONNECTOR_PREFIX,
    Adapter,
    merge_adapter,
    merge_into,
    prepare_for,
    read_adapter,
)
from videollm_ros.live.checkpoint_files import (
    CheckpointError,
    check_shapes,
    find_beside,
    find_folder,
    read_json,
    read_tensors,
    resolve_checkpoint,
)
from videollm_ros.live.config import CONFIG_NAME, LiveConfig
from videollm_ros.live.connector import make_connector
from videollm_ros.live.parts import load_llm, load_tokenizer, load_vision_tower
from videollm_ros.live.quantization import check_quantization, is_quantized, quantize
from videollm_ros.live.vision import VisionEncoder

__all__ = [
    "CheckpointError",
    "Parts",
    "load_llm",
    "load_parts",
    "load_tokenizer",
    "load_vision",
    "load_vision_tower",
    "save_parts",
]

_CONNECTOR = "connector.safetensors"
_PARTS = ("llm", "vision")
"""Folders of a self-contained checkpoint."""


class Parts(NamedTuple):
    """What a `LiveModel` is composed of."""

    config: LiveConfig
    vision: VisionEncoder
    connector: nn.Sequential
    llm: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


class _Source(NamedTuple):
    """Where the parts of a checkpoint are, and what it brings itself."""

    config: LiveConfig
    llm: Path | str
    vision: Path | str
    connector_path: Path
    adapter: Adapter | None
    takes_resolution: bool
    """Whether the frame has the size of the vision tower, since the checkpoint does not say."""


def load_parts(
    checkpoint: str | Path,
    llm: str | Path | None = None,
    vision: str | Path | None = None,
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "auto",
    quantization: str | None = None,
) -> Parts:
    """Load the parts of a model for inference.

    Args:
        checkpoint: hub id or folder: a published PEFT adapter, or what `save_parts` wrote.
        llm: where the base decoder is, if not where the checkpoint says.
        vision: where the vision tower is, if not where the checkpoint says.
        device: "auto" is CUDA if there is a GPU.
        dtype: "auto" is bfloat16 on CUDA and float32 elsewhere; else a torch dtype or its name.
        quantization: None, or a weight-only format of `videollm_ros.live.quantization`. The decoder is then merged,
            moved and quantized one layer at a time, so that its full weights never lie on the device together.

    Raises:
        CheckpointError: a missing file, an adapter that does not fit its base, another tokenizer, a vision tower of
            another width. The message names the file or the tensor and both shapes.
    """
    device = _resolve_device(device)
    dtype = _resolve_dtype(dtype, device)
    folder = resolve_checkpoint(checkpoint)
    try:
        if quantization is not None:
            check_quantization(quantization)
        source = _read_source(folder, llm, vision)
        return _load(source, device, dtype, quantization)
    except CheckpointError:
        raise
    except ValueError as error:
        raise CheckpointError(f"{checkpoint}: {error}") from error


def load_vision(
    checkpoint: str | Path,
    vision: str | Path | None = None,
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "auto",
) -> VisionEncoder:
    """Load the vision encoder of a checkpoint alone. The arguments are those of `load_parts`.

    Raises:
        CheckpointError: a missing file, or a vision tower that does not fit.
    """
    device = _resolve_device(device)
    source = _read_source(resolve_checkpoint(checkpoint), None, vision)
    tower = load_vision_tower(source.vision, _resolve_dtype(dtype, device))
    config = replace(source.config, frame_resolution=tower.config.image_size) if source.takes_resolution else None
    try:
        return VisionEncoder(tower, config or source.config).to(device).requires_grad_(False).eval()
    except ValueError as error:
        raise CheckpointError(f"{checkpoint}: {error}") from error


def save_parts(parts: Parts, folder: str | Path) -> None:
    """Write the self-contained layout to `folder`.

    Raises:
        ValueError: the decoder is quantized.
    """
    if is_quantized(parts.llm):
        raise ValueError("a quantized model is not saved: save the full weights, and quantize them as they are loaded")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    llm, vision = _PARTS
    parts.llm.save_pretrained(folder / llm)
    parts.tokenizer.save_pretrained(folder / llm)
    parts.vision.tower.save_pretrained(folder / vision)
    weights = {name: tensor.contiguous() for name, tensor in parts.connector.state_dict().items()}
    save_file(weights, folder / _CONNECTOR)
    replace(parts.config, llm=llm, vision=vision).save(folder)


def _read_source(folder: Path, llm: str | Path | None, vision: str | Path | None) -> _Source:
    """Recognize the layout of a checkpoint and find its parts."""
    has_config = (folder / CONFIG_NAME).exists()
    adapter = read_adapter(folder) if (folder / ADAPTER_CONFIG).exists() else None
    if adapter is None and not has_config:
        raise CheckpointError(
            f"{folder} has neither {ADAPTER_CONFIG} nor {CONFIG_NAME}, so it is not a LIVE checkpoint"
        )
    if has_config:
        read_json(folder / CONFIG_NAME)  # which bounds what the next line may meet
    config = LiveConfig.load(folder / CONFIG_NAME) if has_config else LiveConfig()
    if adapter is not None:
        config = replace(config, llm=str(llm or adapter.base or config.llm), vision=str(vision or config.vision))
    return _Source(
        config,
        llm=_locate(folder, llm, config.llm, adapter),
        vision=_locate(folder, vision, config.vision, adapter),
        connector_path=folder / _CONNECTOR if adapter is None else adapter.weights_path,
        adapter=adapter,
        takes_resolution=not has_config,
    )


def _locate(folder: Path, given: str | Path | None, named: str, adapter: Adapter | None) -> Path | str:
    """Find a part: where the caller says, else where the checkpoint says."""
    if given is not None:
        return find_folder(given) or find_beside(folder, given, _PARTS)
    if adapter is None and os.path.isabs(os.path.expanduser(named)):
        raise CheckpointError(
            f"{folder / CONFIG_NAME} names the part {named}, which lies outside of the checkpoint; "
            "pass the folder as llm= or vision= instead"
        )
    return find_beside(folder, named, _PARTS)


def _load(source: _Source, device: torch.device, dtype: torch.dtype, quantization: str | None) -> Parts:
    config, adapter = source.config, source.adapter
    tower = load_vision_tower(source.vision, dtype)
    if source.takes_resolution:
        config = replace(config, frame_resolution=tower.config.image_size)
    # Weights that will be quantized stay in their file until the turn of their layer.
    llm = load_llm(source.llm, dtype if quantization is None else "auto")
    tokenizer = load_tokenizer(source.llm)
    connector = make_connector(tower.config.hidden_size, llm.config.hidden_size).to(dtype)
    prefix = "" if adapter is None else CONNECTOR_PREFIX
    expected = {f"{prefix}{name}": tensor for name, tensor in connector.state_dict().items()}
    weights = read_tensors(source.connector_path) if adapter is None else adapter.connector
    check_shapes(weights, expected, source.connector_path)
    connector.load_state_dict({name.removeprefix(prefix): tensor for name, tensor in weights.items()})
    vision = VisionEncoder(tower, config)
    for part in (vision, connector, llm):
        part.requires_grad_(False).eval()
    _place_llm(llm, adapter, device, dtype, quantization)
    return Parts(config, vision.to(device), connector.to(device), llm, tokenizer)


def _place_llm(
    llm: PreTrainedModel, adapter: Adapter | None, device: torch.device, dtype: torch.dtype, quantization: str | None
) -> None:
    """Move a decoder to its device, merged and quantized on the way."""
    if quantization is None:
        cast(nn.Module, llm).to(device)  # transformers' own annotation takes no device
        if adapter is not None:
            merge_adapter(adapter, llm)
        return
    if adapter is not None:
        prepare_for(adapter, llm)

    def place(name: str, linear: nn.Linear) -> None:
        linear.to(device, dtype)
        if adapter is not None:
            merge_into(adapter, name, linear)

    quantize(llm, quantization, place)
    place("lm_head", llm.get_output_embeddings())  # which keeps its full weights
    _convert(llm, device, dtype)


def _convert(llm: PreTrainedModel, device: torch.device, dtype: torch.dtype) -> None:
    """Convert what was not quantized. Quantized weights only move, since a cast would write them out in full."""
    for module in llm.modules():
        for parameter in module.parameters(recurse=False):
            if type(parameter.data) is torch.Tensor:
                parameter.data = parameter.data.to(device, dtype)
        for buffer in module.buffers(recurse=False):
            buffer.data = buffer.data.to(device)


def _resolve_device(device: str | torch.device) -> torch.device:
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise CheckpointError(f"unknown device {device!r}; expected auto, cpu, cuda or cuda:N") from error
    if resolved.type == "cuda" and (resolved.index or 0) >= torch.cuda.device_count():
        raise CheckpointError(
            f"device {device} was asked for, but this PyTorch sees {torch.cuda.device_count()} CUDA GPUs"
        )
    return resolved


def _resolve_dtype(dtype: str | torch.dtype, device: torch.device) -> torch.dtype:
    if dtype == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    resolved = dtype if isinstance(dtype, torch.dtype) else getattr(torch, dtype, None)
    if resolved not in (torch.float32, torch.float16, torch.bfloat16):
        raise CheckpointError(f"unknown dtype {dtype!r}; expected auto, float32, float16 or bfloat16")
    return resolved
