# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Smaller weights: weight-only formats of torchao, applied to the decoder after adapters are merged."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn
from transformers import PreTrainedModel

QUANTIZATIONS = ("int8", "int4", "fp8")


def quantize(llm: PreTrainedModel, quantization: str) -> None:
    """Replace the weights of the decoder's linear layers in place; the head stays as it is.

    Args:
        quantization: `int8` (per channel), `int4` (groups of 128; bfloat16, CUDA) or `fp8` (Hopper, Ada and newer).

    Raises:
        ValueError: an unknown format, torchao is not installed, or a layer's sizes do not fit the format.
    """
    if quantization not in QUANTIZATIONS:
        raise ValueError(f"unknown quantization {quantization!r}; expected one of {', '.join(QUANTIZATIONS)}")
    try:
        from torchao import quantization as torchao
    except ImportError as error:
        raise ValueError(f"quantization {quantization} needs torchao: pip install torchao") from error
    make_config = {
        "int8": torchao.Int8WeightOnlyConfig,
        # PyTorch has kernels of its own for this packing; the default one needs another package.
        "int4": partial(torchao.Int4WeightOnlyConfig, int4_packing_format="tile_packed_to_4d"),
        "fp8": torchao.Float8WeightOnlyConfig,
    }[quantization]
    linears = [module for module in llm.base_model.modules() if isinstance(module, nn.Linear)]
    try:
        torchao.quantize_(llm.base_model, make_config(), filter_fn=lambda module, _: isinstance(module, nn.Linear))
    except (AssertionError, ImportError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"torchao cannot make {quantization} weights on this machine: {error}") from error
    # torchao passes over a layer whose sizes do not fit the format, without a word.
    kept = [linear for linear in linears if not _holds_format(linear)]
    if kept:
        raise ValueError(
            f"quantization {quantization} does not fit {len(kept)} of {len(linears)} linear layers, "
            f"the first has weights {list(kept[0].weight.shape)}"
        )


def is_quantized(llm: PreTrainedModel) -> bool:
    """Whether `quantize` was applied."""
    return any(_holds_format(module) for module in llm.modules() if isinstance(module, nn.Linear))


def _holds_format(linear: nn.Linear) -> bool:
    return type(linear.weight.data) is not Tensor
