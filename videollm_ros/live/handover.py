# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Hand tensors from one CUDA stream to another, between threads as well.

The reader's stream waits for the writer's kernels, and the memory is not given to anybody else before the reader's
kernels are done. On a CPU nothing of that is needed, and nothing happens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

Value = TypeVar("Value")


class Handover(NamedTuple, Generic[Value]):
    """A value on its way to another stream."""

    value: Value
    """A tensor, an array, or a sequence of them."""
    ready: torch.cuda.Event | None
    """The end of the kernels that write it. None where nothing lies on a GPU."""

    def take(self) -> Value:
        """Make the current stream wait until the value is there. The calling thread does not wait."""
        if self.ready is not None:
            for tensor in _cuda_tensors(self.value):
                stream = torch.cuda.current_stream(tensor.device)
                stream.wait_event(self.ready)
                tensor.record_stream(stream)
        return self.value


def hand_over(value: Value) -> Handover[Value]:
    """Prepare a value for another stream. Call this where it was made: in that thread, on that stream."""
    tensor = next(_cuda_tensors(value), None)
    ready = None if tensor is None else torch.cuda.current_stream(tensor.device).record_event()
    return Handover(value, ready)


def upload(frame: Tensor, device: torch.device) -> Tensor:
    """Copy a frame to a device. On the way to a GPU it goes through pinned memory, so that kernels run beside it."""
    if device.type == "cuda" and not frame.is_cuda:
        frame = frame.pin_memory()
    return frame.to(device, non_blocking=True)


def _cuda_tensors(value: Any) -> Iterator[Tensor]:
    """Yield the tensors on a GPU in a tensor, an array or a sequence of them."""
    if getattr(value, "is_cuda", False):
        yield value
    elif isinstance(value, Sequence):
        for item in value:
            yield from _cuda_tensors(item)
