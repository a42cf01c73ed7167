# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A value is handed over between CUDA streams with both waits. Streams and events are imitated: no GPU is needed."""

import numpy as np
import pytest
import torch

from videollm_ros.live.handover import hand_over, upload


class Stream:
    """Notes what it is asked to do."""

    def __init__(self):
        self.waited_for, self.events = [], []

    def record_event(self):
        self.events.append(object())
        return self.events[-1]

    def wait_event(self, event):
        self.waited_for.append(event)


class CudaTensor:
    """A tensor that says it lies on a GPU."""

    is_cuda, device = True, torch.device("cuda", 0)

    def __init__(self):
        self.used_by = []

    def record_stream(self, stream):
        self.used_by.append(stream)


@pytest.fixture
def streams(monkeypatch):
    """The writer's and the reader's stream. The writer's is current until `switch` is called."""
    writer, reader = Stream(), Stream()
    current = [writer]
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device=None: current[0])
    return writer, reader, lambda: current.__setitem__(0, reader)


@pytest.mark.parametrize("wrap", [lambda tensor: tensor, lambda tensor: [tensor], lambda tensor: (np.zeros(3), tensor)])
def test_the_readers_stream_waits_for_the_writers_and_keeps_the_memory(streams, wrap):
    writer, reader, switch = streams
    tensor = CudaTensor()
    value = wrap(tensor)
    handover = hand_over(value)
    assert handover.ready in writer.events
    switch()
    assert handover.take() is value
    assert reader.waited_for == writer.events and writer.waited_for == []
    assert tensor.used_by == [reader]


def test_every_tensor_of_a_sequence_is_kept(streams):
    _, reader, switch = streams
    tensors = [CudaTensor(), CudaTensor()]
    handover = hand_over(tensors)
    switch()
    handover.take()
    assert [tensor.used_by for tensor in tensors] == [[reader], [reader]]


@pytest.mark.parametrize("value", [torch.zeros(2), np.zeros(2), [torch.zeros(2), np.zeros(2)], []])
def test_on_a_cpu_nothing_waits(streams, value):
    writer, reader, _ = streams
    assert hand_over(value).take() is value
    assert not (writer.events or writer.waited_for or reader.waited_for)


def test_a_frame_on_a_cpu_stays_where_it_is():
    frame = torch.zeros(3, 4, 4, dtype=torch.uint8)
    assert upload(frame, torch.device("cpu")) is frame


def test_a_frame_goes_to_a_gpu_through_pinned_memory(monkeypatch):
    steps = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda frame: steps.append("pin") or frame)
    monkeypatch.setattr(torch.Tensor, "to", lambda frame, device, non_blocking: steps.append((device, non_blocking)))
    upload(torch.zeros(3, 4, 4), torch.device("cuda", 0))
    assert steps == ["pin", (torch.device("cuda", 0), True)]
