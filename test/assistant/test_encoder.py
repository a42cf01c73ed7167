# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The frame encoder gives what the model gives, in order, and says what it could not read."""

import threading

import pytest
import torch

from videollm_ros.assistant.encoder import FrameEncoder, stack_embeds
from videollm_ros.assistant.frames import Frame
from videollm_ros.assistant.scheduler import FrameScheduler
from videollm_ros.live import StreamSession, Utterance
from videollm_ros.media.sampling import StampSampler

TIMEOUT = 120.0


class Encoding:
    """A scheduler whose frames are all kept, its encoder, and what both reported."""

    def __init__(self, model, load_image=lambda image: image):
        self.refused, self.failures, self.deaths = [], [], []
        self.scheduler = FrameScheduler(StampSampler(1.0, 10.0), 100, lambda: True)
        self.encoder = FrameEncoder(
            model, self.scheduler, load_image, self.refused.append, self.failures.append, self.deaths.append
        )

    def encode(self, images, first=0):
        """Offer images and return the frames that could be encoded."""
        frames = []
        for stamp, image in enumerate(images, first):
            self.scheduler.offer(image, float(stamp))
        while self.scheduler.waiting:
            # A command keeps `wait` from blocking where the last frames cannot be encoded.
            waker = threading.Timer(0.2, self.scheduler.post_command, [print])
            waker.start()
            frames += self.scheduler.wait().frames
            waker.cancel()
        return frames

    def close(self):
        self.scheduler.close()
        self.encoder.join()


@pytest.fixture
def encoding_of(golden_model):
    made = []

    def make(*arguments) -> Encoding:
        made.append(Encoding(golden_model, *arguments))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_frames_come_out_in_order_as_the_model_encodes_them(encoding_of, golden_frames, golden_tensors):
    frames = encoding_of().encode(golden_frames)
    assert [frame.stamp for frame in frames] == list(range(24))
    torch.testing.assert_close(stack_embeds(frames), golden_tensors["frame_embeds"], atol=1e-4, rtol=0)


def test_frames_that_wait_together_are_encoded_together(encoding_of, golden_model, golden_frames, monkeypatch):
    encoding, sizes, busy, go_on = encoding_of(), [], threading.Event(), threading.Event()
    encode = golden_model.encode

    def note(frames):
        sizes.append(len(frames))
        busy.set()
        go_on.wait(TIMEOUT)
        return encode(frames)

    monkeypatch.setattr(golden_model, "encode", note)
    encoding.scheduler.offer(golden_frames[0], 0.0)
    assert busy.wait(TIMEOUT)
    for stamp in range(1, 13):
        encoding.scheduler.offer(golden_frames[stamp], float(stamp))
    go_on.set()
    encoding.encode(golden_frames[13:14], first=13)
    assert sizes[0] == 1 and max(sizes) == 8 and sum(sizes) == 14


def test_an_image_that_cannot_be_read_is_refused_and_the_others_go_on(encoding_of, golden_frames):
    def load_image(index):
        if index == 1:
            raise ValueError("a torn image")
        return golden_frames[index] if index != 2 else torch.zeros(3)

    encoding = encoding_of(load_image)
    assert [frame.stamp for frame in encoding.encode(range(4))] == [0, 3]
    assert str(encoding.refused[0]) == "a torn image" and len(encoding.refused) == 2
    assert (encoding.failures, encoding.deaths) == ([], [])


def test_a_frame_may_be_a_flipped_view(encoding_of, golden_frames, golden_tensors):
    bgr = golden_frames.flip(1).permute(0, 2, 3, 1).contiguous().numpy()
    encoding = encoding_of(lambda index: bgr[index][..., ::-1])
    frames = encoding.encode([0])
    torch.testing.assert_close(stack_embeds(frames), golden_tensors["frame_embeds"][:1], atol=1e-4, rtol=0)


def test_the_bytes_of_an_image_are_released_once_it_is_encoded(encoding_of, golden_frames):
    (frame,) = encoding_of().encode(golden_frames[:1])
    assert frame.image is None and frame.pixels is None


def test_a_session_reads_what_the_encoder_gives(encoding_of, golden_model, golden_frames):
    frames = encoding_of().encode(golden_frames)
    events = StreamSession(golden_model).observe_embeds(stack_embeds(frames), [frame.stamp / 2 for frame in frames])
    said = [(event.stamp, event.text) for event in events if isinstance(event, Utterance)]
    expected = StreamSession(golden_model).observe_many(golden_frames, [index / 2 for index in range(24)])
    assert said == [(utterance.stamp, utterance.text) for utterance in expected]
    assert said


class FakeStream:
    """A CUDA stream that remembers what it was made to wait for."""

    def __init__(self):
        self.waited_for = []

    def wait_event(self, event):
        self.waited_for.append(event)


class FakeEmbeds:
    """An embedding on a GPU that this machine lacks."""

    device = "cuda:0"

    def __init__(self):
        self.recorded_on = []

    def record_stream(self, stream):
        self.recorded_on.append(stream)


def test_on_a_gpu_the_decoder_waits_for_the_encoder_and_its_memory_is_not_reused_meanwhile(monkeypatch):
    stream, embeds, ready = FakeStream(), FakeEmbeds(), object()
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: stream)
    monkeypatch.setattr(torch, "stack", list)
    frame = Frame(None, 0.0, None, 0.0, 1, False, embeds=embeds, ready=ready)
    assert stack_embeds([frame]) == [embeds]
    assert (stream.waited_for, embeds.recorded_on) == ([ready], [stream])
