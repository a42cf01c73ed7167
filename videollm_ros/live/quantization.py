# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Make the decoder's weights smaller with the weight-only formats of torchao, one layer at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

QUANTIZATIONS = ("int8", "int4", "fp8")


def check_quantization(quantization: str) -> None:
    """Check that a format is known and that torchao is installed, before anything large is loaded.

    Raises:
        ValueError: see `quantize`.
    """
    _make_config(quantization)


def quantize(llm: PreTrainedModel, quantization: str, prepare: Callable[[str, nn.Linear], None] | None = None) -> None:
    """Replace the weights of the decoder's linear layers in place. The head keeps its full weights.

    Args:
        llm: the decoder.
        quantization: `int8` (per channel), `int4` (groups of 128; bfloat16 on CUDA) or `fp8` (Hopper, Ada and newer).
        prepare: called with the name of each layer and the layer just before it is quantized. It may move the layer
            to its device and change its weights, so that only one layer at a time lies there in full.

    Raises:
        ValueError: the format is unknown, torchao is not installed, or a layer's sizes do not fit the format.
    """
    from torchao.quantization import quantize_  # an optional dependency

    config = _make_config(quantization)
    head = llm.get_output_embeddings()
    modules = [(name, module) for name, module in llm.named_modules() if isinstance(module, nn.Linear)]
    linears = [(name, linear) for name, linear in modules if linear is not head]
    for name, linear in linears:
        if prepare is not None:
            prepare(name, linear)
        try:
            quantize_(linear, config)
        except (AssertionError, ImportError, NotImplementedError, RuntimeError) as error:
            raise ValueError(
                f"torchao cannot make {quantization} weights of {name} on this machine: {error}"
            ) from error
        if not _is_quantized(linear):  # torchao skips a layer whose sizes do not fit, without an error
            raise ValueError(
                f"quantization {quantization} does not fit the layer {name} with weights {list(linear.weight.shape)}"
            )


def is_quantized(llm: nn.Module) -> bool:
    """Return whether `quantize` was applied."""
    return any(_is_quantized(module) for module in llm.modules() if isinstance(module, nn.Linear))


def stored_bytes(weight: Tensor) -> int:
    """Return the bytes of a weight in memory. A quantized one is made of several tensors."""
    if hasattr(weight, "__tensor_flatten__"):
        return sum(stored_bytes(getattr(weight, name)) for name in weight.__tensor_flatten__()[0])
    return weight.nbytes


def _make_config(quantization: str) -> Any:
    if quantization not in QUANTIZATIONS:
        raise ValueError(f"unknown quantization {quantization!r}; expected one of {', '.join(QUANTIZATIONS)}")
    try:
        from torchao import quantization as torchao
    except ImportError as error:
        raise ValueError(f"quantization {quantization} needs torchao: pip install torchao") from error
    configs: dict[str, Callable[[], Any]] = {
        "int8": torchao.Int8WeightOnlyConfig,
        # PyTorch has kernels of its own for this packing. The default packing needs another package.
        "int4": partial(torchao.Int4WeightOnlyConfig, int4_packing_format="tile_packed_to_4d"),
        "fp8": torchao.Float8WeightOnlyConfig,
    }
    return configs[quantization]()


def _is_quantized(linear: nn.Linear) -> bool:
    return type(linear.weight.data) is not Tensor
