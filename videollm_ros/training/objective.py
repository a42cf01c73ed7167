# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The streaming objective as a module: a batch in, its loss and the loss of its two kinds of decision out."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from videollm_ros.live import LiveModel
from videollm_ros.live.template import IGNORED


class StreamingObjective(nn.Module):
    """Cross-entropy over the learned positions, silence-or-speak positions weighted (paper, equation 2)."""

    def __init__(self, live: LiveModel, stream_weight: float = 1.0, event_lesson: tuple[int, ...] = ()) -> None:
        """`event_lesson`: numbers of classes of a batch's `events`, when they are to be learned; see `EventLesson`."""
        super().__init__()
        self.live = live
        self.stream_weight = stream_weight
        self.event_lesson = EventLesson(live, event_lesson) if event_lesson else None
        self.learns_vision = any(parameter.requires_grad for parameter in live.vision.parameters())

    def forward(
        self,
        input_ids: Tensor,
        labels: Tensor,
        attention_mask: Tensor,
        features: Tensor | None = None,
        frames: Tensor | None = None,
        events: Tensor | None = None,
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
        # A batch without padding needs no mask, and the decoder is faster without one.
        mask = None if bool(attention_mask.all()) else attention_mask
        logits = self.live(input_ids, features, attention_mask=mask).logits
        learned = labels != IGNORED
        losses = F.cross_entropy(logits[learned].float(), labels[learned], reduction="none")
        stream = (input_ids == self.live.template.frame_token_id)[learned]
        weighted = torch.where(stream, losses * self.stream_weight, losses).sum()
        num_learned = learned.sum()
        if self.event_lesson is not None and events is not None:
            is_frame = input_ids == self.live.template.frame_token_id
            weighted = weighted + self.event_lesson(is_frame, events)
        return {
            "loss": weighted / num_learned.clamp(min=1),
            "loss_sum": weighted,
            "num_learned": num_learned,
            "stream_sum": losses[stream].sum().detach(),
            "num_stream": stream.sum(),
            "text_sum": losses[~stream].sum().detach(),
            "num_text": (~stream).sum(),
        }


class EventLesson(nn.Module):
    """What a frame decides (kind, colour, shape), learned on its last token by linear heads that are thrown away.

    The words alone teach a small decoder a shortcut: with the colour said, it names the shape of any item of that
    colour. On the frame itself no colour is given away, and the words find there which item it was. The heads read the
    last layer but one, since only what stands there can be attended to.
    """

    def __init__(self, live: LiveModel, num_classes: tuple[int, ...]) -> None:
        super().__init__()
        self.heads = nn.ModuleList(nn.Linear(live.llm.config.hidden_size, classes) for classes in num_classes)
        self.num_tokens = live.config.frame_num_tokens
        self._hidden: Tensor | None = None
        live.llm.get_decoder().layers[-2].register_forward_hook(self._keep)

    def _keep(self, layer: nn.Module, given: tuple, output: Tensor | tuple) -> None:
        self._hidden = output[0] if isinstance(output, tuple) else output

    def forward(self, is_frame: Tensor, events: Tensor) -> Tensor:
        """Sum of the cross-entropies of `events` [T, k] after the decoder has read a batch with `is_frame` [B, L]."""
        last_tokens = self._hidden[is_frame][self.num_tokens - 1 :: self.num_tokens]  # [T, d]
        self._hidden = None
        losses = [
            F.cross_entropy(head(last_tokens).float(), events[:, index], ignore_index=IGNORED, reduction="sum")
            for index, head in enumerate(self.heads)
        ]
        return torch.stack(losses).sum()
