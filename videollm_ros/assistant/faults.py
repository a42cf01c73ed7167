# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Failures of the encoder and the decoder: what they are called, and when there is no use in going on."""

from __future__ import annotations

import threading

import torch

MAX_FAULTS_IN_A_ROW = 5
"""So many failures without a frame read or an answer given in between: the device or the model does not recover."""


def describe_failure(part: str, error: Exception) -> str:
    """Say what went wrong in a part of the model, as a sentence."""
    if isinstance(error, torch.OutOfMemoryError):
        return f"The GPU ran out of memory: {error} Set model.quantization, or a smaller context or stream.backlog."
    return f"The {part} failed: {type(error).__name__}: {error}"


class FaultCounter:
    """Counts failures from any thread, and notices when nothing works any more."""

    def __init__(self, limit: int = MAX_FAULTS_IN_A_ROW) -> None:
        """Give up after `limit` failures in a row."""
        self.limit = limit
        self.total = self.in_a_row = 0
        self._lock = threading.Lock()

    def record(self) -> bool:
        """Count a failure. Returns whether it is time to give up."""
        with self._lock:
            self.total += 1
            self.in_a_row += 1
            return self.in_a_row >= self.limit

    def clear(self) -> None:
        """Take note that something worked."""
        self.in_a_row = 0
