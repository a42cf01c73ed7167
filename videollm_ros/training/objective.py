# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The streaming objective as a module: a batch goes in, its loss and the losses of its two kinds of decision out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from videollm_ros.live import LiveModel
from videollm_ros.live.loss import stream_loss
from videollm_ros.training.simulator.auxiliary_losses import EventLoss, StateLoss


class StreamingObjective(nn.Module):
    """Cross-entropy over the learned positions, silence-or-speak positions weighted (streaming EOS prediction)."""

    def __init__(
        self,
        live: LiveModel,
        stream_weight: float = 1.0,
        event_loss: EventLoss | None = None,
        state_loss: StateLoss | None = None,
    ) -> None:
        """Put the model and its losses together.

        Args:
            live: the model.
            stream_weight: w of the paper.
            event_loss: learns the events of the simulator on the frames.
            state_loss: learns its state on the frames.
        """
        super().__init__()
        self.live = live
        self.stream_weight = stream_weight
        self.event_loss = event_loss
        self.state_loss = state_loss
        self.trains_vision = any(parameter.requires_grad for parameter in live.vision.parameters())

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
            sums over positions, so that batches can be added up: loss_sum, num_learned, stream_sum, num_stream,
            text_sum, num_text. `loss` is loss_sum / num_learned.

        Raises:
            ValueError: neither features nor frames, or another number of them than the dialogues hold.
        """
        if features is None:
            if frames is None:
                raise ValueError("a batch needs features or frames")
            features = self._encode(frames)
        # Behind a dialogue padding needs no mask: a causal decoder never looks there, and is faster without one.
        order = attention_mask.argsort(dim=1, descending=True, stable=True)
        input_ids, labels = input_ids.gather(1, order), labels.gather(1, order)
        logits = self.live(input_ids, features).logits
        is_frame = input_ids == self.live.template.frame_token_id
        sums = stream_loss(logits, labels, is_frame, self.stream_weight)
        weighted = sums.loss_sum
        if self.event_loss is not None and events is not None:
            weighted = weighted + self.event_loss(is_frame, events)
        if self.state_loss is not None and states is not None:
            weighted = weighted + self.state_loss(is_frame, states)
        sums = sums._replace(loss_sum=weighted)
        return {"loss": sums.loss, **sums._asdict()}

    def _encode(self, frames: Tensor) -> Tensor:
        """Encode frames uint8 [T, 3, R, R], with a gradient when the tower is trained."""
        # A tower takes no empty batch. Of dialogues without frames it encodes one that nobody reads.
        pictures = frames if len(frames) else frames.new_zeros(1, *frames.shape[1:])
        with torch.set_grad_enabled(self.trains_vision and torch.is_grad_enabled()):
            return self.live.encode(pictures)[: len(frames)]
