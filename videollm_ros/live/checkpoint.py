# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Loading and saving. Two layouts: a published PEFT adapter, and the self-contained folder of `save`.

    adapter folder       adapter_config.json  adapter_model.safetensors  (live_config.json)
    self-contained       live_config.json  connector.safetensors  llm/  vision/

Only safetensors are read and no remote code is run: nothing in a checkpoint is ever executed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from videollm_ros.live.config import CONFIG_NAME, LiveConfig
from videollm_ros.live.model import LiveModel, make_connector
from videollm_ros.live.quantization import is_quantized, quantize
from videollm_ros.live.vision import VISION_MODELS, VisionEncoder

_ADAPTER_CONFIG = "adapter_config.json"
_ADAPTER_WEIGHTS = "adapter_model.safetensors"
_CONNECTOR = "connector.safetensors"
_PARTS = ("llm", "vision")  # folders of a self-contained checkpoint


class CheckpointError(ValueError):
    """A checkpoint that cannot be loaded: a file is missing, or parts do not fit each other."""


def load(
    checkpoint: str | Path,
    llm: str | Path | None = None,
    vision: str | Path | None = None,
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "auto",
    quantization: str | None = None,
) -> LiveModel:
    """Load a model for inference.

    Args:
        checkpoint: hub id or folder: a published PEFT adapter, or what `save_pretrained` wrote.
        llm, vision: where the base LLM and the vision tower are, when not where the checkpoint says.
        device: "auto" is CUDA when there is one.
        dtype: "auto" is bfloat16 on CUDA, float32 elsewhere; else a torch dtype or its name.
        quantization: None, or a weight-only format of `videollm_ros.live.quantization`.

    Raises:
        CheckpointError: a missing file, an adapter that does not fit its base, another tokenizer, a vision tower of
            another width; the message names the file or the tensor and both shapes.
    """
    device = _resolve_device(device)
    dtype = _resolve_dtype(dtype, device)
    folder = _resolve_folder(checkpoint)
    try:
        if (folder / _ADAPTER_CONFIG).exists():
            model = _load_adapter(folder, llm, vision, dtype)
        elif (folder / CONFIG_NAME).exists():
            model = _load_self_contained(folder, llm, vision, dtype)
        else:
            raise CheckpointError(f"{folder} has neither {_ADAPTER_CONFIG} nor {CONFIG_NAME}: it is no LIVE checkpoint")
        model.requires_grad_(False).eval().to(device)
        if quantization is not None:
            quantize(model.llm, quantization)
    except CheckpointError:
        raise
    except ValueError as error:
        raise CheckpointError(f"{checkpoint}: {error}") from error
    return model


def save(model: LiveModel, folder: str | Path) -> None:
    """Write the self-contained layout to `folder`.

    Raises:
        ValueError: the decoder is quantised.
    """
    if is_quantized(model.llm):
        raise ValueError("a quantised model is not saved: save the full weights, and quantise them as they are loaded")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    llm, vision = _PARTS
    model.llm.save_pretrained(folder / llm)
    model.tokenizer.save_pretrained(folder / llm)
    model.vision.tower.save_pretrained(folder / vision)
    save_file(_contiguous(model.connector.state_dict()), folder / _CONNECTOR)
    replace(model.config, llm=llm, vision=vision).save(folder)


# The two layouts.


def _load_self_contained(
    folder: Path, llm: str | Path | None, vision: str | Path | None, dtype: torch.dtype
) -> LiveModel:
    config = LiveConfig.load(folder / CONFIG_NAME)
    llm, vision = _beside(folder, llm or config.llm), _beside(folder, vision or config.vision)
    tower = load_vision_tower(vision, dtype)
    decoder = load_llm(llm, dtype)
    tokenizer = load_tokenizer(llm)
    weights = _read_tensors(folder / _CONNECTOR)
    connector = make_connector(tower.config.hidden_size, decoder.config.hidden_size).to(dtype)
    _check_shapes(weights, connector.state_dict(), folder / _CONNECTOR)
    connector.load_state_dict(weights)
    return LiveModel(config, VisionEncoder(tower, config), connector, decoder, tokenizer)


def _load_adapter(folder: Path, llm: str | Path | None, vision: str | Path | None, dtype: torch.dtype) -> LiveModel:
    # PEFT is needed for adapters only; a self-contained checkpoint runs without it.
    from peft import LoraConfig, PeftConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict

    weights = _read_tensors(folder / _ADAPTER_WEIGHTS)
    adapter = _from_source(PeftConfig.from_pretrained, "adapter configuration", folder)
    if not isinstance(adapter, LoraConfig):
        raise CheckpointError(f"{folder / _ADAPTER_CONFIG} is of type {adapter.peft_type}; expected LORA")
    adapter.inference_mode = True
    geometry = folder / CONFIG_NAME
    config = LiveConfig.load(geometry) if geometry.exists() else LiveConfig()
    config = replace(
        config,
        llm=str(llm or adapter.base_model_name_or_path or config.llm),
        vision=str(vision or config.vision),
    )
    llm, vision = _beside(folder, config.llm), _beside(folder, config.vision)
    tower = load_vision_tower(vision, dtype)
    if not geometry.exists():
        config = replace(config, frame_resolution=tower.config.image_size)
    decoder = load_llm(llm, dtype)
    tokenizer = load_tokenizer(llm)

    # The published adapter was saved from a decoder that had the connector as a child: give it one while PEFT loads.
    decoder.connector = make_connector(tower.config.hidden_size, decoder.config.hidden_size).to(dtype)
    adapter.base_model_name_or_path = decoder.name_or_path  # where it was found: PEFT warns of another name
    adapted = get_peft_model(decoder, adapter, autocast_adapter_dtype=False)
    expected = get_peft_model_state_dict(adapted, save_embedding_layers=False)
    whole = {name: tensor for name, tensor in adapted.state_dict().items() if name in weights}
    _check_shapes(weights, {**whole, **expected}, folder / _ADAPTER_WEIGHTS)
    set_peft_model_state_dict(adapted, weights)
    decoder = adapted.merge_and_unload()
    connector = decoder.connector
    del decoder.connector
    return LiveModel(config, VisionEncoder(tower, config), connector, decoder, tokenizer)


# The parts, from a folder or the hub.


def load_vision_tower(source: str | Path, dtype: torch.dtype) -> PreTrainedModel:
    """A SigLIP or CLIP vision tower, alone or out of a checkpoint that has the text tower as well.

    Raises:
        CheckpointError: not there, or of another family.
    """
    with _quiet_transformers():
        config = _from_source(AutoConfig.from_pretrained, "vision tower", source, trust_remote_code=False)
        config = getattr(config, "vision_config", config)
        if config.model_type not in VISION_MODELS:
            raise CheckpointError(
                f"the vision tower {source} is a {config.model_type}; expected one of {', '.join(VISION_MODELS)}"
            )
        return _load_weights(VISION_MODELS[config.model_type], "vision tower", source, config=config, dtype=dtype)


def load_llm(source: str | Path, dtype: torch.dtype) -> PreTrainedModel:
    """Any Hugging Face causal LM.

    Raises:
        CheckpointError: not there, incomplete, or without safetensors.
    """
    with _quiet_transformers():
        return _load_weights(AutoModelForCausalLM, "decoder", source, dtype=dtype)


def load_tokenizer(source: str | Path) -> PreTrainedTokenizerBase:
    """The decoder's tokenizer.

    Raises:
        CheckpointError: not there.
    """
    with _quiet_transformers():
        return _from_source(AutoTokenizer.from_pretrained, "tokenizer", source, trust_remote_code=False)


def _load_weights(model_class: type, what: str, source: str | Path, **options: object) -> PreTrainedModel:
    model, report = _from_source(
        model_class.from_pretrained,
        what,
        source,
        trust_remote_code=False,
        use_safetensors=True,
        output_loading_info=True,
        ignore_mismatched_sizes=True,  # reported below, with both shapes
        **options,
    )
    for name, found, expected in sorted(report["mismatched_keys"]):
        raise CheckpointError(
            f"the {what} {source}: the tensor {name} has shape {list(found)}, its configuration says {list(expected)}"
        )
    missing = sorted(report["missing_keys"])
    if missing:
        raise CheckpointError(f"the {what} {source} lacks {len(missing)} tensors, the first is {missing[0]}")
    return model


def _from_source(load_one: Callable, what: str, source: str | Path, **options: object):
    try:
        return load_one(source, **options)
    except (OSError, HFValidationError, SafetensorError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"the {what} cannot be loaded from {source}: {error}") from error
    except (AttributeError, KeyError, TypeError) as error:  # JSON of another structure than the library expects
        raise CheckpointError(f"the {what} in {source} cannot be understood: {error!r}") from error


def _resolve_folder(checkpoint: str | Path) -> Path:
    folder = Path(checkpoint).expanduser()
    if folder.is_dir():
        return folder
    try:
        return Path(snapshot_download(str(checkpoint), allow_patterns=["*.json", "*.safetensors"]))
    except HFValidationError as error:
        raise CheckpointError(f"{checkpoint} is neither a folder nor a hub id") from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise CheckpointError(f"{checkpoint} is no folder, and the hub does not have it for us: {error}") from error


def _beside(folder: Path, source: str | Path) -> Path | str:
    """`source` as a folder of the checkpoint when there is one, else as given (a path or a hub id)."""
    for place in (folder / source, Path(source).expanduser()):
        if place.is_dir():
            return place
    if str(source) in _PARTS:  # and not looked for on the hub
        raise CheckpointError(f"the {source} part cannot be loaded from {folder / source}: there is no such folder")
    return source


def _read_tensors(path: Path) -> dict[str, Tensor]:
    if not path.exists():
        raise CheckpointError(f"{path} is missing; weights are read from safetensors only, never from pickles")
    try:
        return load_file(path)
    except SafetensorError as error:
        raise CheckpointError(f"{path} is no safetensors file: {error}") from error


def _check_shapes(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path) -> None:
    for name, tensor in expected.items():
        if name not in found:
            raise CheckpointError(f"{path} lacks the tensor {name} of shape {list(tensor.shape)}")
    for name, tensor in found.items():
        if name not in expected:
            raise CheckpointError(f"{path} has the tensor {name} {list(tensor.shape)}, which the base model has not")
        if tensor.shape != expected[name].shape:
            raise CheckpointError(
                f"{path}: the tensor {name} has shape {list(tensor.shape)}, "
                f"the base model and the vision tower expect {list(expected[name].shape)}"
            )


def _contiguous(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.contiguous() for name, tensor in state.items()}


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


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """No report of the text tower's unused tensors and no progress bars in a robot's log."""
    verbosity, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()
