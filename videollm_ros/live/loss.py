# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compute the streaming loss of the paper: next tokens, and the decision to stay silent after every frame."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from videollm_ros.live.template import IGNORED


class StreamLoss(NamedTuple):
    """Sums over learned positions, so that batches can be put together. All are scalars."""

    loss_sum: Tensor
    """Cross-entropy over all learned positions, with stream positions weighted."""
    num_learned: Tensor
    stream_sum: Tensor
    """Cross-entropy over stream positions, without the weight and without a gradient."""
    num_stream: Tensor
    text_sum: Tensor
    """Cross-entropy over text positions, without a gradient."""
    num_text: Tensor

    @property
    def loss(self) -> Tensor:
        """Return the mean over learned positions. The weight changes the sum, not the count."""
        return self.loss_sum / self.num_learned.clamp(min=1)


def stream_loss(logits: Tensor, labels: Tensor, is_frame: Tensor, stream_weight: float) -> StreamLoss:
    """Compute the loss of the paper's streaming EOS prediction (arXiv 2406.11816).

    Args:
        logits: [B, L, vocab].
        labels: [B, L], the target after each position, or -100 where nothing is learned.
        is_frame: [B, L], true where a frame token was read. Learned frame positions are silence-or-speak decisions.
        stream_weight: the weight w of those positions.
    """
    learned = labels != IGNORED
    losses = F.cross_entropy(logits[learned].float(), labels[learned], reduction="none")
    stream = is_frame[learned]
    return StreamLoss(
        loss_sum=torch.where(stream, losses * stream_weight, losses).sum(),
        num_learned=learned.sum(),
        stream_sum=losses[stream].sum().detach(),
        num_stream=stream.sum(),
        text_sum=losses[~stream].sum().detach(),
        num_text=(~stream).sum(),
    )
