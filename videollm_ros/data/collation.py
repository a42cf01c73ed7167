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
    """One dialogue as the model reads it."""

    input_ids: list[int]
    """[L]"""
    labels: list[int]
    """[L], the target after each position or -100."""
    features: Tensor | None = None
    """[T, n, d_vision], when the frames are encoded already."""
    frames: Tensor | None = None
    """uint8 RGB [T, 3, R, R], when they are not."""
    events: Tensor | None = None
    """[T, k], the simulator's label of each frame, -100 where there is none."""
    states: Tensor | None = None
    """[T, k], the same for what is visible."""


class Collator:
    """Makes batches. The frames of all dialogues follow one another."""

    def __init__(self, pad_token_id: int) -> None:
        """Take the id to pad with, any id of the embedding table: nothing attends to it."""
        self.pad_token_id = pad_token_id

    def __call__(self, samples: Sequence[Sample]) -> dict[str, Tensor]:
        """Make a batch.

        Returns:
            input_ids, labels and attention_mask [B, L]; features [T, n, d] or frames [T, 3, R, R] of all dialogues;
            events and states [T, k] where at least one sample has them, -100 for the frames of the others.
        """
        longest = max(len(sample.input_ids) for sample in samples)
        batch = {
            "input_ids": _pad_left([sample.input_ids for sample in samples], longest, self.pad_token_id),
            "labels": _pad_left([sample.labels for sample in samples], longest, IGNORED),
            "attention_mask": _pad_left([[1] * len(sample.input_ids) for sample in samples], longest, 0),
        }
        for name in ("features", "frames"):
            values = [getattr(sample, name) for sample in samples]
            if all(value is not None for value in values):
                batch[name] = torch.cat(values)
        for name in ("events", "states"):
            widths = [getattr(sample, name).shape[1] for sample in samples if getattr(sample, name) is not None]
            if widths:
                batch[name] = torch.cat([_labels_of(sample, name, widths[0]) for sample in samples])
        return batch


def _labels_of(sample: Sample, name: str, width: int) -> Tensor:
    """Return the frame labels of a sample, or as many that are ignored [T, width]."""
    labels: Tensor | None = getattr(sample, name)
    if labels is not None:
        return labels
    shown = sample.frames if sample.features is None else sample.features
    return torch.full((0 if shown is None else len(shown), width), IGNORED)


def _pad_left(rows: Sequence[Sequence[int]], length: int, value: int) -> Tensor:
    return torch.tensor([[value] * (length - len(row)) + list(row) for row in rows])
