# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The model that training starts from. An adapter stays an adapter, so that training can go on with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from videollm_ros.live import CheckpointError, LiveConfig, LiveModel
from videollm_ros.live.adapter import ADAPTER_CONFIG, CONNECTOR_PREFIX, prepare_for, read_adapter
from videollm_ros.live.checkpoint_files import check_shapes, find_beside, resolve_checkpoint
from videollm_ros.live.config import CONFIG_NAME
from videollm_ros.live.connector import make_connector
from videollm_ros.live.parts import load_llm, load_tokenizer, load_vision_tower
from videollm_ros.live.vision import VisionEncoder
from videollm_ros.training.config import ModelConfig, TrainableConfig, live_config
from videollm_ros.training.simulator.scratch import make_model
from videollm_ros.training.yaml_dataclass import ConfigError


def load_start(config: ModelConfig, trainable: TrainableConfig | None = None) -> LiveModel:
    """Load the model that training starts from to the CPU. The Trainer moves it.

    Args:
        config: where it is.
        trainable: of the first stage. With LoRA an adapter is not merged, and has this dropout.

    Raises:
        CheckpointError: a part is missing. ConfigError: a wrong setting, or parts that do not fit each other.
    """
    if config.scratch is not None:
        return make_model(config.scratch)
    if config.checkpoint is None:
        places = {"llm": _absolute(str(config.llm)), "vision": _absolute(str(config.vision))}
        return _compose(live_config(config.live, "model.live", **places), getattr(torch, config.dtype))
    folder = resolve_checkpoint(config.checkpoint)
    if trainable is None or trainable.llm != "lora" or not (folder / ADAPTER_CONFIG).exists():
        return LiveModel.from_pretrained(folder, llm=config.llm, vision=config.vision, device="cpu", dtype=config.dtype)
    return _load_adapter(folder, config, trainable.lora_dropout)


def has_own_tower(model: LiveModel) -> bool:
    """Return whether the model's vision tower was trained and stored with an adapter."""
    return (Path(model.config.vision).parent / ADAPTER_CONFIG).exists()


def _load_adapter(folder: Path, config: ModelConfig, dropout: float) -> LiveModel:
    """Load an adapter with its connector and its base, and leave it beside the base's weights."""
    from peft import LoraConfig, get_peft_model

    adapter, dtype = read_adapter(folder), getattr(torch, config.dtype)
    has_config = (folder / CONFIG_NAME).exists()
    live = LiveConfig.load(folder / CONFIG_NAME) if has_config else LiveConfig()
    llm, vision = config.llm or adapter.base or live.llm, config.vision or live.vision
    places = [_absolute(str(find_beside(folder, place, ()))) for place in (llm, vision)]
    live = replace(live, llm=places[0], vision=places[1])
    if not has_config:
        live = replace(live, frame_resolution=load_vision_tower(live.vision, dtype).config.image_size)
    model = _compose(live, dtype)
    expected = {f"{CONNECTOR_PREFIX}{name}": tensor for name, tensor in model.connector.state_dict().items()}
    check_shapes(adapter.connector, expected, adapter.weights_path)
    model.connector.load_state_dict(
        {name.removeprefix(CONNECTOR_PREFIX): tensor for name, tensor in adapter.connector.items()}
    )
    prepare_for(adapter, model.llm)
    settings = LoraConfig.from_pretrained(str(folder))
    settings.modules_to_save = None  # the connector is not a part of the decoder here
    settings.base_model_name_or_path, settings.lora_dropout = live.llm, dropout
    settings.target_modules = set(adapter.targets or adapter.pairs)  # never a pattern
    adapted: Any = get_peft_model(model.llm, settings, autocast_adapter_dtype=False)
    model.llm = adapted
    for name, pair in adapter.pairs.items():
        layer = adapted.get_submodule(f"base_model.model.{name}")
        for half, tensor in ((layer.lora_A, pair.down), (layer.lora_B, pair.up)):
            weight = half["default"].weight
            if weight.shape != tensor.shape:
                raise CheckpointError(
                    f"{folder}: the adapter of {name} is {list(tensor.shape)}, not {list(weight.shape)}"
                )
            weight.data = tensor.to(weight.dtype)
    return model


def _compose(live: LiveConfig, dtype: torch.dtype) -> LiveModel:
    """Make a model of a tower and a decoder, with a new connector."""
    tower, llm = load_vision_tower(live.vision, dtype), load_llm(live.llm, dtype)
    connector = make_connector(tower.config.hidden_size, llm.config.hidden_size).to(dtype)
    tokenizer = load_tokenizer(live.llm)
    try:
        return LiveModel(live, VisionEncoder(tower, live), connector, llm, tokenizer)
    except ValueError as error:
        raise ConfigError(f"model: {error}") from error


def _absolute(source: str) -> str:
    """Return a folder as an absolute path, because the output names it and is read from other places.

    A hub id stays as it is.
    """
    folder = Path(source).expanduser()
    return str(folder.resolve()) if folder.is_dir() else source
