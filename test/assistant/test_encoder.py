# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The frame encoder gives what the model gives, in order, and says what it could not read."""

import threading

import pytest
import torch

from videollm_ros.assistant.encoder import FrameEncoder, stack_embeds
from videollm_ros.live import StreamSession, Utterance


class Deliveries:
    """Collects what an encoder delivers and waits for it."""

    def __init__(self) -> None:
        self.frames, self.failures, self.arrived = [], [], threading.Semaphore(0)

    def deliver(self, frames) -> None:
        self.frames += frames
        for _ in frames:
            self.arrived.release()

    def failed(self, item, error) -> None:
        self.failures.append((item, error))
        self.arrived.release()

    def wait(self, count: int) -> None:
        for _ in range(count):
            assert self.arrived.acquire(timeout=120), "the encoder delivered too little"


@pytest.fixture
def deliveries() -> Deliveries:
    return Deliveries()


@pytest.fixture
def encoder_of(golden_model, deliveries):
    encoders = []

    def make(pixels, capacity=64) -> FrameEncoder:
        encoders.append(FrameEncoder(golden_model, pixels, deliveries.deliver, deliveries.failed, capacity))
        return encoders[-1]

    yield make
    for encoder in encoders:
        encoder.close()


def test_frames_come_out_in_order_as_the_model_encodes_them(encoder_of, deliveries, golden_frames, golden_tensors):
    encoder = encoder_of(lambda index: golden_frames[index])
    for index in range(24):
        encoder.put(index)
    deliveries.wait(24)
    assert [frame.item for frame in deliveries.frames] == list(range(24))
    torch.testing.assert_close(stack_embeds(deliveries.frames), golden_tensors["frame_embeds"], atol=1e-4, rtol=0)
    assert encoder.stats.encoded == 24
    assert encoder.stats.batches < 24, "frames that wait together are encoded together"


def test_a_frame_that_cannot_be_read_is_reported_and_the_others_go_on(encoder_of, deliveries, golden_frames):
    def pixels(index):
        if index == 1:
            raise ValueError("a torn image")
        return golden_frames[index]

    encoder = encoder_of(pixels)
    for index in range(3):
        encoder.put(index)
    deliveries.wait(3)
    assert [frame.item for frame in deliveries.frames] == [0, 2]
    assert [(item, str(error)) for item, error in deliveries.failures] == [(1, "a torn image")]
    assert encoder.stats.failed == 1


def test_a_frame_may_be_a_flipped_view(encoder_of, deliveries, golden_frames, golden_tensors):
    bgr = golden_frames.flip(1).permute(0, 2, 3, 1).contiguous().numpy()
    encoder = encoder_of(lambda index: bgr[index][..., ::-1])
    encoder.put(0)
    deliveries.wait(1)
    assert not deliveries.failures
    torch.testing.assert_close(stack_embeds(deliveries.frames), golden_tensors["frame_embeds"][:1], atol=1e-4, rtol=0)


def test_a_full_encoder_drops_the_oldest_frame_and_counts_it(encoder_of, deliveries, golden_frames):
    busy, go_on = threading.Event(), threading.Event()

    def pixels(index):
        busy.set()
        go_on.wait(120)
        return golden_frames[index]

    encoder = encoder_of(pixels, capacity=2)
    encoder.put(0)
    assert busy.wait(120)
    for index in (1, 2, 3, 4):
        encoder.put(index)
    assert encoder.waiting == 2
    go_on.set()
    deliveries.wait(3)
    assert [frame.item for frame in deliveries.frames] == [0, 3, 4]
    assert encoder.stats.dropped == 2


def test_a_session_reads_what_the_encoder_delivers(encoder_of, deliveries, golden_model, golden_frames):
    encoder = encoder_of(lambda index: golden_frames[index])
    for index in range(24):
        encoder.put(index)
    deliveries.wait(24)
    stamps = [index / 2 for index in range(24)]
    events = StreamSession(golden_model).observe_embeds(stack_embeds(deliveries.frames), stamps)
    said = [(event.stamp, event.text) for event in events if isinstance(event, Utterance)]
    expected = StreamSession(golden_model).observe_many(golden_frames, stamps)
    assert said == [(utterance.stamp, utterance.text) for utterance in expected]
    assert said
