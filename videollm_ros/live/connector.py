# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Project vision features into the decoder's embedding space."""

from __future__ import annotations

from torch import nn


def make_connector(vision_size: int, llm_size: int) -> nn.Sequential:
    """Make the two-layer projector of the LIVE model (arXiv 2406.11816).

    Args:
        vision_size: width of a vision feature.
        llm_size: width of a decoder embedding.

    Returns:
        a module from [.., vision_size] to [.., llm_size] with tensors `0.weight`, `0.bias`, `2.weight`, `2.bias`.
    """
    return nn.Sequential(nn.Linear(vision_size, llm_size), nn.GELU(), nn.Linear(llm_size, llm_size))
