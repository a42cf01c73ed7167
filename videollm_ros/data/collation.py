# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Batches of dialogues of different length: text padded on the left, frames of all dialogues one after another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from videollm_ros.live.template import IGNORED


@dataclass(frozen=True)
class Sample:
    """One dialogue as the model reads it: ids and labels [L], and its features [T, n, d] or frames [T, 3, R, R].

    `events` and `states` [T, k], where known: labels of the frames, -100 where there is none.
    """

    input_ids: list[int]
    labels: list[int]
    features: Tensor | None = None
    frames: Tensor | None = None
    events: Tensor | None = None
    states: Tensor | None = None


class Collator:
    """Makes input_ids, labels and attention_mask [B, L]; features, frames and frame labels of all dialogues follow."""

    def __init__(self, pad_token_id: int) -> None:
        """`pad_token_id` is any id of the embedding table; nothing attends to it."""
        self.pad_token_id = pad_token_id

    def __call__(self, samples: Sequence[Sample]) -> dict[str, Tensor]:
        longest = max(len(sample.input_ids) for sample in samples)
        batch = {
            "input_ids": _pad_left([sample.input_ids for sample in samples], longest, self.pad_token_id),
            "labels": _pad_left([sample.labels for sample in samples], longest, IGNORED),
            "attention_mask": _pad_left([[1] * len(sample.input_ids) for sample in samples], longest, 0),
        }
        for name in ("features", "frames", "events", "states"):
            values = [getattr(sample, name) for sample in samples]
            if all(value is not None for value in values):
                batch[name] = torch.cat(values)
        return batch


def _pad_left(rows: Sequence[Sequence[int]], length: int, value: int) -> Tensor:
    return torch.tensor([[value] * (length - len(row)) + list(row) for row in rows])
