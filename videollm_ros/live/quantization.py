# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Smaller weights: weight-only formats of torchao, applied to the decoder after adapters are merged."""

from __future__ import annotations

from torch import nn
from transformers import PreTrainedModel

QUANTIZATIONS = ("int8", "int4", "fp8")


def quantize(llm: PreTrainedModel, quantization: str) -> None:
    """Replace the weights of the decoder's linear layers in place; the head stays as it is.

    Args:
        quantization: `int8` (per channel), `int4` (groups of 128, CUDA only) or `fp8` (Hopper, Ada and newer).

    Raises:
        ValueError: an unknown format, or torchao is not installed.
    """
    if quantization not in QUANTIZATIONS:
        raise ValueError(f"unknown quantization {quantization!r}; expected one of {', '.join(QUANTIZATIONS)}")
    try:
        from torchao import quantization as torchao
    except ImportError as error:
        raise ValueError(
            f"quantization {quantization} needs torchao: pip install 'videollm-ros[quantization]'"
        ) from error
    make_config = {
        "int8": torchao.Int8WeightOnlyConfig,
        "int4": torchao.Int4WeightOnlyConfig,
        "fp8": torchao.Float8WeightOnlyConfig,
    }[quantization]
    torchao.quantize_(llm.base_model, make_config(), filter_fn=lambda module, _: isinstance(module, nn.Linear))
