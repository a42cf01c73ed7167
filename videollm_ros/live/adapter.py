# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Read, merge and write LoRA adapters in the layout of the published checkpoint (LoRA: arXiv 2106.09685).

    adapter_config.json           rank, scale and the modules that were adapted, as PEFT writes it
    adapter_model.safetensors     base_model.model.<module>.lora_A.weight [r, in] and .lora_B.weight [out, r],
                                  base_model.model.connector.<n>.<weight|bias>, and other parameters stored whole

Which modules are adapted is read from the names of the tensors. The patterns that `adapter_config.json` may hold are
never run: a regular expression can keep a program busy for ever.
"""

from __future__ import annotations

import copy
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from videollm_ros.live.checkpoint_files import CheckpointError, read_json, read_tensors

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"

_PREFIX = "base_model.model."
CONNECTOR_PREFIX = f"{_PREFIX}connector."
_UNSUPPORTED = (
    "use_dora",
    "use_qalora",
    "lora_bias",
    "layer_replication",
    "target_parameters",
    "trainable_token_indices",
    "alora_invocation_tokens",
    "arrow_config",
)
"""Settings of PEFT that change what the weights mean."""


class LoraPair(NamedTuple):
    """The low-rank change of one linear layer: its weight [out, in] grows by `scale * up @ down`."""

    down: Tensor
    """lora_A, [r, in]."""
    up: Tensor
    """lora_B, [out, r]."""
    scale: float


@dataclass(frozen=True)
class Adapter:
    """The contents of an adapter folder."""

    folder: Path
    base: str | None
    """Hub id or folder of the base decoder, if the adapter names one."""
    pairs: dict[str, LoraPair]
    """By the full name of the module in the decoder, such as `model.layers.0.self_attn.q_proj`."""
    connector: dict[str, Tensor]
    """The connector's tensors, by their names in the file."""
    whole: dict[str, Tensor]
    """Parameters of the decoder that the adapter brings in full, by their names in the decoder."""
    targets: tuple[str, ...] | None
    """Names of modules that are adapted wherever they occur. None where `adapter_config.json` has a pattern instead."""

    @property
    def weights_path(self) -> Path:
        """Path of the tensors, for messages."""
        return self.folder / ADAPTER_WEIGHTS


def read_adapter(folder: Path) -> Adapter:
    """Read an adapter folder.

    Raises:
        CheckpointError: a file is missing or bad, the adapter is not LoRA, or it uses a setting that is not supported.
    """
    tensors = read_tensors(folder / ADAPTER_WEIGHTS)
    path = folder / ADAPTER_CONFIG
    settings = read_json(path)
    if settings.get("peft_type") != "LORA":
        raise CheckpointError(f"{path} is of type {settings.get('peft_type')}; expected LORA")
    for name in _UNSUPPORTED:
        if settings.get(name):
            raise CheckpointError(f"{path} sets {name}, which is not supported; merge this adapter with PEFT first")
    base = settings.get("base_model_name_or_path")
    if base is not None and not isinstance(base, str):
        raise CheckpointError(f"{path}: base_model_name_or_path should be a string: {base!r}")
    halves: dict[str, dict[str, Tensor]] = {}
    connector, whole = {}, {}
    for name, tensor in tensors.items():
        module, half = re.fullmatch(r"(.*?)(?:\.(lora_[AB])\.weight)?", name).groups()  # type: ignore[union-attr]
        if half:
            halves.setdefault(module.removeprefix(_PREFIX), {})[half] = tensor
        elif name.startswith(CONNECTOR_PREFIX):
            connector[name] = tensor
        else:
            whole[name] = tensor
    pairs = {module: _make_pair(folder, module, pair, settings) for module, pair in halves.items()}
    return Adapter(folder, base, pairs, connector, whole, _read_targets(settings))


def merge_adapter(adapter: Adapter, llm: PreTrainedModel) -> None:
    """Merge an adapter into a decoder in place, so that a step costs no more than without it.

    Sums are made in float32 and rounded once.

    Raises:
        CheckpointError: the adapter does not fit the decoder. The message has the tensor and both shapes.
    """
    prepare_for(adapter, llm)
    for name, module in llm.named_modules():
        if isinstance(module, nn.Linear):
            merge_into(adapter, name, module)


def merge_into(adapter: Adapter, name: str, linear: nn.Linear) -> None:
    """Merge an adapter into one linear layer of the decoder, if it adapts that layer."""
    pair = adapter.pairs.get(name)
    if pair is None:
        return
    weight = linear.weight.data
    down, up = (tensor.to(weight.device, torch.float32) for tensor in (pair.down, pair.up))
    delta = (up @ down) * pair.scale
    linear.weight.data = (delta.add_(weight)).to(weight.dtype)


def prepare_for(adapter: Adapter, llm: PreTrainedModel) -> None:
    """Check that an adapter fits a decoder and copy the parameters that it brings in full. Call `merge_into` next.

    Raises:
        CheckpointError: see `merge_adapter`.
    """
    _check_fit(adapter, llm)
    head: nn.Module = llm.get_output_embeddings()  # type: ignore[no-untyped-call]
    changed = {*adapter.pairs, *(_name_in_decoder(name).removesuffix(".weight") for name in adapter.whole)}
    if "lm_head" in changed and head.weight is llm.get_input_embeddings().weight:
        # The adapter was trained on the head alone. Embeddings that share its memory must not change with it.
        head.weight = nn.Parameter(head.get_parameter("weight").data.clone(), requires_grad=False)
        llm.config.tie_word_embeddings = False
    for name, tensor in adapter.whole.items():
        parameter = llm.get_parameter(_name_in_decoder(name))
        parameter.data = tensor.to(parameter.device, parameter.dtype)


def _check_fit(adapter: Adapter, llm: PreTrainedModel) -> None:
    path, parameters = adapter.weights_path, llm.state_dict()
    linears = {name: module for name, module in llm.named_modules() if isinstance(module, nn.Linear)}
    for name, tensor in adapter.whole.items():
        expected = parameters.get(_name_in_decoder(name))
        if expected is None:
            raise CheckpointError(f"{path} has the tensor {name} {list(tensor.shape)}, which the base model lacks")
        _check_shape(path, name, tensor, list(expected.shape))
    for module, pair in adapter.pairs.items():
        names = [f"{_PREFIX}{module}.{half}.weight" for half in ("lora_A", "lora_B")]
        linear, rank = linears.get(module), len(pair.down)
        if linear is None:
            raise CheckpointError(
                f"{path} has the tensor {names[0]} {list(pair.down.shape)}, which the base model lacks"
            )
        _check_shape(path, names[0], pair.down, [rank, linear.in_features])
        _check_shape(path, names[1], pair.up, [linear.out_features, rank])
    _check_complete(adapter, linears, llm.config.num_hidden_layers)


def write_adapter(llm: nn.Module, connector: nn.Sequential, folder: Path) -> None:
    """Write the adapter of a decoder that PEFT wraps, in the layout of the published checkpoint.

    Args:
        llm: a decoder with a LoRA adapter of the name "default".
        connector: stored in full.
        folder: must exist.
    """
    from peft import get_peft_model_state_dict  # needed to train, not to run

    configs: Any = llm.peft_config
    settings = copy.copy(configs["default"])
    # The published checkpoint was saved from a decoder that had the connector as a child.
    settings.modules_to_save = ["connector"]
    settings.inference_mode = True
    settings.save_pretrained(folder)
    tensors = get_peft_model_state_dict(llm)
    for name, tensor in connector.state_dict().items():
        tensors[f"{CONNECTOR_PREFIX}{name}"] = tensor
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_file(weights, folder / ADAPTER_WEIGHTS)


def _make_pair(folder: Path, module: str, halves: dict[str, Tensor], settings: dict[str, Any]) -> LoraPair:
    path = folder / ADAPTER_WEIGHTS
    for half in ("lora_A", "lora_B"):
        if half not in halves:
            raise CheckpointError(f"{path} lacks the tensor {_PREFIX}{module}.{half}.weight")
        if halves[half].ndim != 2:
            raise CheckpointError(
                f"{path}: the tensor {_PREFIX}{module}.{half}.weight has shape {list(halves[half].shape)}; "
                "expected two dimensions"
            )
    down, up = halves["lora_A"], halves["lora_B"]
    rank = _for_module(folder, settings, "rank_pattern", "r", module)
    if len(down) != rank:
        raise CheckpointError(
            f"{path}: the tensor {_PREFIX}{module}.lora_A.weight has shape {list(down.shape)}, "
            f"{ADAPTER_CONFIG} says rank {rank:g}"
        )
    alpha = _for_module(folder, settings, "alpha_pattern", "lora_alpha", module)
    return LoraPair(down, up, alpha / (rank**0.5 if settings.get("use_rslora") else rank))


def _for_module(folder: Path, settings: dict[str, Any], pattern: str, default: str, module: str) -> float:
    """Return a number that may differ between modules. Keys of `pattern` are names, matched from the end."""
    exceptions = settings.get(pattern) or {}
    path = folder / ADAPTER_CONFIG
    if not isinstance(exceptions, dict) or not all(re.fullmatch(r"[\w.]+", name) for name in exceptions):
        raise CheckpointError(f"{path}: {pattern} should map the names of modules to numbers")
    names = [name for name in exceptions if f".{module}".endswith(f".{name}")]
    value = exceptions[names[0]] if names else settings.get(default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e6:
        raise CheckpointError(f"{path}: {default} should be a number above 0: {value!r}")
    return value


def _read_targets(settings: dict[str, Any]) -> tuple[str, ...] | None:
    if any(settings.get(name) is not None for name in ("layers_to_transform", "exclude_modules")):
        return ()  # some layers only: nothing to compare with
    targets = settings.get("target_modules")
    if isinstance(targets, list) and all(isinstance(name, str) for name in targets):
        return tuple(targets)
    return None


def _check_complete(adapter: Adapter, linears: dict[str, nn.Linear], num_layers: int) -> None:
    """Check that no layer's adapter is missing, as when an adapter belongs to a base with fewer layers."""
    if adapter.targets is not None:
        for module, linear in linears.items():
            if module not in adapter.pairs and any(f".{module}".endswith(f".{name}") for name in adapter.targets):
                raise CheckpointError(
                    f"{adapter.weights_path} lacks the tensors of {module} {list(linear.weight.shape)}, "
                    f"which {ADAPTER_CONFIG} lists as adapted"
                )
        return
    kinds = Counter(re.sub(r"\.\d+\.", ".*.", module, count=1) for module in adapter.pairs)
    for kind, count in kinds.items():
        if "*" in kind and count != num_layers:
            raise CheckpointError(
                f"{adapter.weights_path} adapts {kind} in {count} layers, the base model has {num_layers}; "
                f"if that is meant, list the full names of the modules as target_modules in {ADAPTER_CONFIG}"
            )


def _check_shape(path: Path, name: str, tensor: Tensor, expected: list[int]) -> None:
    if list(tensor.shape) != expected:
        raise CheckpointError(
            f"{path}: the tensor {name} has shape {list(tensor.shape)}, the base model expects {expected}"
        )


def _name_in_decoder(name: str) -> str:
    """Return the decoder's name of a parameter that was stored whole, such as the published copy of the head."""
    return name.removeprefix(_PREFIX).replace(".base_layer.", ".")
