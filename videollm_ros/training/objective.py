# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The streaming objective as a module: a batch in, its loss and the loss of its two kinds of decision out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from videollm_ros.live import LiveModel
from videollm_ros.live.loss import stream_loss
from videollm_ros.training.lessons import EventLesson, StateLesson


class StreamingObjective(nn.Module):
    """Cross-entropy over the learned positions, silence-or-speak positions weighted (streaming EOS prediction)."""

    def __init__(
        self,
        live: LiveModel,
        stream_weight: float = 1.0,
        event_lesson: EventLesson | None = None,
        state_lesson: StateLesson | None = None,
    ) -> None:
        super().__init__()
        self.live = live
        self.stream_weight = stream_weight
        self.event_lesson = event_lesson
        self.state_lesson = state_lesson
        self.learns_vision = any(parameter.requires_grad for parameter in live.vision.parameters())

    def forward(
        self,
        input_ids: Tensor,
        labels: Tensor,
        attention_mask: Tensor,
        features: Tensor | None = None,
        frames: Tensor | None = None,
        events: Tensor | None = None,
        states: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Read a batch as `data.Collator` makes it.

        Returns:
            sums over positions, so that batches can be put together: loss_sum, num_learned, stream_sum, num_stream,
            text_sum, num_text. `loss` is loss_sum / num_learned.

        Raises:
            ValueError: neither features nor frames, or another number of them than the dialogues hold.
        """
        if features is None:
            if frames is None:
                raise ValueError("a batch needs features or frames")
            with torch.set_grad_enabled(self.learns_vision and torch.is_grad_enabled()):
                features = self.live.encode(frames)
        # Behind a dialogue padding needs no mask: a causal decoder never looks there, and is faster without one.
        order = attention_mask.argsort(dim=1, descending=True, stable=True)
        input_ids, labels = input_ids.gather(1, order), labels.gather(1, order)
        logits = self.live(input_ids, features).logits
        is_frame = input_ids == self.live.template.frame_token_id
        sums = stream_loss(logits, labels, is_frame, self.stream_weight)
        weighted = sums.loss_sum
        if self.event_lesson is not None:
            weighted = weighted + self.event_lesson(is_frame, events)
        if self.state_lesson is not None:
            weighted = weighted + self.state_lesson(is_frame, states)
        sums = sums._replace(loss_sum=weighted)
        return {"loss": sums.loss, **sums._asdict()}
