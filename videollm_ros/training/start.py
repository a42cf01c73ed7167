# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The model that training starts from. An adapter stays an adapter, so that training can go on with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from huggingface_hub import snapshot_download
from safetensors.torch import load_file
from torch import Tensor

from videollm_ros.live import CheckpointError, LiveConfig, LiveModel
from videollm_ros.live.checkpoint import load_llm, load_tokenizer, load_vision_tower
from videollm_ros.live.config import CONFIG_NAME
from videollm_ros.live.model import make_connector
from videollm_ros.live.vision import VisionEncoder
from videollm_ros.training.config import ModelConfig, TrainableConfig, live_config
from videollm_ros.training.simulator.scratch import make_model
from videollm_ros.training.yaml_dataclass import ConfigError

_ADAPTER_CONFIG = "adapter_config.json"
_CONNECTOR = "base_model.model.connector."


def load_start(config: ModelConfig, trainable: TrainableConfig | None = None) -> LiveModel:
    """Load the model that training starts from to the CPU. The Trainer moves it.

    Args:
        config: where it is.
        trainable: of the first stage. It says how an adapter is trained.

    Raises:
        CheckpointError: a part is missing. ConfigError: a wrong setting, or parts that do not fit each other.
    """
    if config.scratch is not None:
        return make_model(config.scratch)
    if config.checkpoint is None:
        places = {"llm": _absolute(str(config.llm)), "vision": _absolute(str(config.vision))}
        return _compose(live_config(config.live, "model.live", **places), getattr(torch, config.dtype))
    folder = _local_folder(config.checkpoint)
    if trainable is None or trainable.llm != "lora" or not (folder / _ADAPTER_CONFIG).exists():
        return LiveModel.from_pretrained(folder, llm=config.llm, vision=config.vision, device="cpu", dtype=config.dtype)
    return _load_adapter(folder, config, trainable)


def has_own_tower(model: LiveModel) -> bool:
    """Return whether the model's vision tower was trained and stored with an adapter."""
    return (Path(model.config.vision).parent / _ADAPTER_CONFIG).exists()


def _local_folder(checkpoint: str) -> Path:
    """Return the folder of a checkpoint, downloaded when it is a hub id."""
    folder = Path(checkpoint).expanduser()
    if folder.is_dir():
        return folder
    try:
        return Path(snapshot_download(checkpoint, allow_patterns=["*.json", "*.safetensors"]))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{checkpoint} is not a folder and cannot be downloaded: {error}") from error


def _load_adapter(folder: Path, config: ModelConfig, trainable: TrainableConfig) -> LiveModel:
    """Load a published adapter with its connector, and leave it beside the decoder's own weights."""
    from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict

    dtype = getattr(torch, config.dtype)
    weights = load_file(folder / "adapter_model.safetensors")
    adapter = LoraConfig.from_pretrained(folder)
    live = LiveConfig.load(folder / CONFIG_NAME) if (folder / CONFIG_NAME).exists() else LiveConfig()
    llm = config.llm or adapter.base_model_name_or_path or live.llm
    live = replace(live, llm=_absolute(llm, folder), vision=_absolute(config.vision or live.vision, folder))
    if not (folder / CONFIG_NAME).exists():
        live = replace(live, frame_resolution=load_vision_tower(live.vision, dtype).config.image_size)
    model = _compose(live, dtype)
    connector = {name.removeprefix(_CONNECTOR): t for name, t in weights.items() if name.startswith(_CONNECTOR)}
    _check_names(connector, model.connector.state_dict(), folder)
    model.connector.load_state_dict(connector)
    adapter.modules_to_save = None  # the connector is not a part of the decoder here
    adapter.base_model_name_or_path = live.llm
    adapter.lora_dropout = trainable.lora_dropout
    if isinstance(adapter.target_modules, str):  # a pattern: take the layers that the file has
        adapter.target_modules = {
            name.split(".lora_A.")[0].split("model.", 2)[-1] for name in weights if "lora_A" in name
        }
    model.llm = get_peft_model(model.llm, adapter, autocast_adapter_dtype=False)
    decoder = {name: tensor for name, tensor in weights.items() if not name.startswith(_CONNECTOR)}
    lora = {name: tensor for name, tensor in decoder.items() if ".lora_" in name}
    _check_names(lora, get_peft_model_state_dict(model.llm, save_embedding_layers=False), folder)
    set_peft_model_state_dict(model.llm, lora)
    parameters = dict(model.llm.named_parameters())
    for name in decoder.keys() & parameters.keys():  # parameters that the adapter brings in full
        parameters[name].data = decoder[name].to(parameters[name].dtype)
    return model


def _check_names(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], folder: Path) -> None:
    """Raise CheckpointError unless tensors of the same names and shapes are found as expected."""
    for name in sorted(found.keys() ^ expected.keys()):
        raise CheckpointError(f"{folder}: the adapter {'has' if name in found else 'lacks'} the tensor {name}")
    for name, tensor in expected.items():
        if found[name].shape != tensor.shape:
            raise CheckpointError(
                f"{folder}: the tensor {name} has shape {list(found[name].shape)}, the model takes {list(tensor.shape)}"
            )


def _compose(live: LiveConfig, dtype: torch.dtype) -> LiveModel:
    """Make a model of a tower and a decoder, with a new connector."""
    tower, llm = load_vision_tower(live.vision, dtype), load_llm(live.llm, dtype)
    connector = make_connector(tower.config.hidden_size, llm.config.hidden_size).to(dtype)
    tokenizer = load_tokenizer(live.llm)
    try:
        return LiveModel(live, VisionEncoder(tower, live), connector, llm, tokenizer)
    except ValueError as error:
        raise ConfigError(f"model: {error}") from error


def _absolute(source: str, beside: Path | None = None) -> str:
    """Return a folder as an absolute path, because the output names it and is read from other places.

    A hub id stays as it is.
    """
    places = [*([] if beside is None else [beside / source]), Path(source).expanduser()]
    return next((str(place.resolve()) for place in places if place.is_dir()), source)
