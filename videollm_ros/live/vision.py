# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Turn camera frames into vision features: letterbox to the tower's square, normalize, encode, pool."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import CLIPVisionModel, PreTrainedModel, SiglipVisionModel
from transformers.utils.constants import (
    IMAGENET_STANDARD_MEAN,
    IMAGENET_STANDARD_STD,
    OPENAI_CLIP_MEAN,
    OPENAI_CLIP_STD,
)

from videollm_ros.live.config import LiveConfig


@dataclass(frozen=True)
class TowerFamily:
    """What the encoder has to know of a family of vision towers."""

    model_class: type[PreTrainedModel]
    mean: Sequence[float]
    """Pixel mean of red, green and blue, of values from 0 to 1."""
    std: Sequence[float]
    """Pixel standard deviation, likewise."""
    num_prefix_tokens: int
    """Tokens before the patch grid. The first is the pooled output; without any it is `pooler_output`."""
    pooler: frozenset[str]
    """Modules and parameters that serve `pooler_output` alone, or nothing at all, by their last names."""


TOWER_FAMILIES = {
    "siglip_vision_model": TowerFamily(
        SiglipVisionModel, IMAGENET_STANDARD_MEAN, IMAGENET_STANDARD_STD, 0, frozenset({"head"})
    ),
    "clip_vision_model": TowerFamily(
        CLIPVisionModel, OPENAI_CLIP_MEAN, OPENAI_CLIP_STD, 1, frozenset({"post_layernorm"})
    ),
}
"""By the `model_type` of the tower's configuration. A new family is a new row."""


def as_tensor(frames: Tensor | np.ndarray) -> Tensor:
    """Return frames as a tensor, whatever memory they lie in."""
    if isinstance(frames, np.ndarray):
        # PyTorch takes neither the negative strides of `bgr[..., ::-1]` nor, without a warning, read-only buffers.
        frames = np.require(frames, requirements=("C_CONTIGUOUS", "WRITEABLE"))
    return torch.as_tensor(frames)


def letterbox(frames: Tensor, resolution: int) -> Tensor:
    """Scale the longest side to `resolution` (bicubic, antialiased) and pad with zeros to a centered square.

    Args:
        frames: uint8 RGB [T, 3, H, W], any size.
        resolution: side of the square in pixels.

    Returns:
        uint8 RGB [T, 3, resolution, resolution] on the same device.
    """
    height, width = frames.shape[-2:]
    scale = resolution / max(height, width)
    new_height, new_width = max(1, round(height * scale)), max(1, round(width * scale))
    if (new_height, new_width) != (height, width):
        # The CPU resizes bytes directly. CUDA resizes floats only.
        pixels = frames if frames.device.type == "cpu" else frames.float()
        pixels = F.interpolate(pixels, (new_height, new_width), mode="bicubic", antialias=True, align_corners=False)
        frames = pixels if pixels.dtype == torch.uint8 else pixels.round_().clamp_(0, 255).to(torch.uint8)
    left, top = (resolution - new_width) // 2, (resolution - new_height) // 2
    return F.pad(frames, (left, resolution - new_width - left, top, resolution - new_height - top))


class VisionEncoder(nn.Module):
    """Run a SigLIP or CLIP tower and pool its patches into a frame's few tokens.

    Raises:
        ValueError: the tower is of another family, or its frames do not have the configured resolution.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, tower: PreTrainedModel, config: LiveConfig) -> None:
        """Wrap a tower for the frame geometry of `config`."""
        super().__init__()
        model_type = tower.config.model_type
        if model_type not in TOWER_FAMILIES:
            raise ValueError(f"the vision tower is a {model_type}; expected one of {', '.join(TOWER_FAMILIES)}")
        family = TOWER_FAMILIES[model_type]
        if tower.config.image_size != config.frame_resolution:
            raise ValueError(
                f"the vision tower reads frames of {tower.config.image_size} pixels, "
                f"the checkpoint was made for {config.frame_resolution}"
            )
        self.tower = tower
        self.config = config
        self._num_prefix_tokens, self._pooler = family.num_prefix_tokens, family.pooler
        mean, std = torch.tensor(family.mean), torch.tensor(family.std)
        # One multiplication and addition instead of three steps over every pixel: (x / 255 - mean) / std.
        self.register_buffer("scale", 1 / (255 * std.view(1, 3, 1, 1)), persistent=False)
        self.register_buffer("shift", -(mean / std).view(1, 3, 1, 1), persistent=False)

    @property
    def hidden_size(self) -> int:
        """Return the width of a vision feature, d_vision."""
        return int(self.tower.config.hidden_size)

    def unused_parameters(self) -> Iterator[nn.Parameter]:
        """Yield the tower's parameters that no feature depends on. In training they would wait for a gradient."""
        if self.config.frame_token_cls and not self._num_prefix_tokens:
            return
        for name, parameter in self.tower.named_parameters():
            if not self._pooler.isdisjoint(name.split(".")):
                yield parameter

    def forward(self, frames: Tensor) -> Tensor:
        """Encode frames.

        Args:
            frames: uint8 RGB [T, 3, R, R], R the tower's resolution.

        Returns:
            features [T, n, d_vision]: the pooled token first, then the pooled grid row by row.

        Raises:
            ValueError: frames of another shape or type.
        """
        resolution = self.config.frame_resolution
        if frames.dtype != torch.uint8 or frames.ndim != 4 or frames.shape[1:] != (3, resolution, resolution):
            raise ValueError(
                f"expected uint8 frames [T, 3, {resolution}, {resolution}], got {frames.dtype} {list(frames.shape)}"
            )
        dtype = self.tower.dtype
        pixels = torch.addcmul(self.shift, frames.float(), self.scale).to(dtype)
        output = self.tower(pixels)
        hidden = output.last_hidden_state
        tokens = []
        if self.config.frame_token_cls:
            pooled = hidden[:, 0] if self._num_prefix_tokens else output.pooler_output
            tokens.append(pooled[:, None])
        if self.config.frame_token_pooled:
            patches = hidden[:, self._num_prefix_tokens :]
            side = math.isqrt(patches.shape[1])
            grid = patches.unflatten(1, (side, side)).permute(0, 3, 1, 2)  # [T, d, side, side]
            grid = F.adaptive_avg_pool2d(grid, self.config.frame_token_pooled)
            tokens.append(grid.flatten(2).transpose(1, 2))
        return torch.cat(tokens, dim=1)
