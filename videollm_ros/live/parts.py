# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Load the parts of a model with transformers: the vision tower, the decoder and its tokenizer.

Nothing in their folders is executed. `config.json` is read and cleaned here, so that transformers never sees fields
that could make it fetch or run code, and the size that it describes is compared with the weights before memory is
taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import torch
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from videollm_ros.live.checkpoint_files import CheckpointError, read_json, read_shapes, resolve_part
from videollm_ros.live.vision import TOWER_FAMILIES

_UNUSED_FIELDS = {"auto_map", "id2label", "label2id", "num_labels"}
"""Fields of `config.json` that inference does not need and that can name code or take memory."""
_ATTENTION = "sdpa"
"""A checkpoint that chose its own could name a kernel on the hub, which transformers would download and run."""

_MOST_LAYERS = 1000
"""Transformers builds lists of this length before it looks at the weights."""

Part = TypeVar("Part")


def load_vision_tower(source: str | Path, dtype: torch.dtype) -> PreTrainedModel:
    """Load a SigLIP or CLIP vision tower, alone or out of a checkpoint that has the text tower as well.

    Raises:
        CheckpointError: it is missing, damaged or of another family.
    """
    folder = resolve_part("vision tower", source)
    config = _load_config("vision tower", folder)
    config = getattr(config, "vision_config", config)
    if config.model_type not in TOWER_FAMILIES:
        raise CheckpointError(
            f"the vision tower {source} is a {config.model_type}; expected one of {', '.join(TOWER_FAMILIES)}"
        )
    tower_class = TOWER_FAMILIES[config.model_type].model_class
    return _load_model("vision tower", folder, config, tower_class, tower_class, dtype)


def load_llm(source: str | Path, dtype: torch.dtype | Literal["auto"]) -> PreTrainedModel:
    """Load any Hugging Face causal LM.

    Args:
        source: a folder or a hub id.
        dtype: "auto" keeps the type that the weights have. They stay in the memory-mapped file until they are used.

    Raises:
        CheckpointError: it is missing, incomplete, or has no safetensors.
    """
    folder = resolve_part("decoder", source)
    config = _load_config("decoder", folder)
    return _load_model("decoder", folder, config, AutoModelForCausalLM.from_config, AutoModelForCausalLM, dtype)


def load_tokenizer(source: str | Path) -> PreTrainedTokenizerBase:
    """Load the decoder's tokenizer.

    Raises:
        CheckpointError: it is missing or damaged.
    """
    folder = resolve_part("tokenizer", source)
    config = _load_config("tokenizer", folder)

    def load() -> PreTrainedTokenizerBase:
        tokenizer = AutoTokenizer.from_pretrained(folder, config=config, **_NO_CODE)
        tokenizer.decode(tokenizer("a, b]\n", add_special_tokens=False)["input_ids"])  # bad settings show here
        return tokenizer

    return _attempt("tokenizer", folder, load)


_NO_CODE: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}


def _load_config(what: str, folder: Path) -> PreTrainedConfig:
    """Read `config.json` without the fields that steer transformers."""
    if (folder / "adapter_config.json").exists():
        raise CheckpointError(f"the {what} in {folder} is an adapter; expected a model with all its weights")
    try:
        values = read_json(folder / "config.json")
    except CheckpointError as error:
        raise CheckpointError(f"the {what} cannot be loaded from {folder}: {error}") from error
    for key, value in _walk(values):
        if key == "quantization_config" and value is not None:
            raise CheckpointError(
                f"the {what} in {folder} is quantized already; expected full weights, which quantization= makes smaller"
            )
        if "layers" in key and isinstance(value, int) and value > _MOST_LAYERS:
            raise CheckpointError(f"the {what} in {folder} has {key} {value}; expected at most {_MOST_LAYERS}")
    return _attempt(what, folder, lambda: AutoConfig.for_model(**_clean(values)))


def _clean(value: Any) -> Any:
    """Copy JSON without the fields that are not needed, at every depth."""
    if isinstance(value, dict):
        return {key: _clean(item) for key, item in value.items() if not _is_dropped(key)}
    return [_clean(item) for item in value] if isinstance(value, list) else value


def _is_dropped(key: str) -> bool:
    return key in _UNUSED_FIELDS or key.endswith("_implementation") or key.startswith("_")


def _walk(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the fields of JSON objects at every depth."""
    for key, item in value.items() if isinstance(value, dict) else ():
        yield key, item
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _walk(item)


def _load_model(
    what: str,
    folder: Path,
    config: PreTrainedConfig,
    make: Callable[[PreTrainedConfig], PreTrainedModel],
    model_class: Any,
    dtype: torch.dtype | Literal["auto"],
) -> PreTrainedModel:
    _check_size(what, folder, config, make)
    options = {"use_safetensors": True, "attn_implementation": _ATTENTION, "dtype": dtype, **_NO_CODE}
    # Shapes that differ are reported below, with both of them.
    options |= {"output_loading_info": True, "ignore_mismatched_sizes": True}
    model, report = _attempt(what, folder, lambda: model_class.from_pretrained(folder, config=config, **options))
    for name, found, expected in sorted(report["mismatched_keys"]):
        raise CheckpointError(
            f"the {what} {folder}: the tensor {name} has shape {list(found)}, its configuration says {list(expected)}"
        )
    missing = sorted(report["missing_keys"])
    if missing:
        raise CheckpointError(f"the {what} {folder} lacks {len(missing)} tensors, the first is {missing[0]}")
    return cast(PreTrainedModel, model)


def _check_size(
    what: str, folder: Path, config: PreTrainedConfig, make: Callable[[PreTrainedConfig], PreTrainedModel]
) -> None:
    """Refuse a configuration that describes far more than the files hold, before memory is taken for it."""
    try:
        shapes = read_shapes(folder)
    except CheckpointError as error:
        raise CheckpointError(f"the {what} cannot be loaded from {folder}: {error}") from error
    stored = sum(torch.Size(shape).numel() for shape in shapes.values())

    def count() -> int:
        with torch.device("meta"):
            return sum(parameter.numel() for parameter in make(config).parameters())

    described = _attempt(what, folder, count)
    if described > 2 * stored:
        raise CheckpointError(
            f"the {what} in {folder} lacks tensors: its configuration describes {described} parameters, "
            f"its files hold {stored}"
        )


def _attempt(what: str, folder: Path, action: Callable[[], Part]) -> Part:
    """Call transformers. What it raises on bad files becomes a CheckpointError."""
    try:
        with _quiet_transformers():
            return action()
    except (OSError, SafetensorError, RuntimeError, ValueError, MemoryError) as error:
        raise CheckpointError(f"the {what} cannot be loaded from {folder}: {error}") from error
    except ImportError as error:
        raise CheckpointError(f"the {what} in {folder} asks for a package that is not installed: {error}") from error
    except Exception as error:  # tokenizers raises Exception itself on bad files, and transformers anything
        raise CheckpointError(f"the {what} in {folder} cannot be understood: {error!r}") from error


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Keep progress bars and the list of the text tower's unused tensors out of a robot's log."""
    verbosity, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()
