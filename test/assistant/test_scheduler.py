# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is given to the encoder and to the worker, and when, however slow the encoder is."""

import threading

import pytest

from videollm_ros.assistant.queries import QueryAdmission
from videollm_ros.assistant.scheduler import CONFIRM_SECONDS, FrameScheduler, StreamClosedError
from videollm_ros.media.sampling import StampSampler

TIMEOUT = 60.0


class Clock:
    """Time that a test lets pass."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Camera:
    """A scheduler, what is offered to it, and an encoder that is as slow as a test wants."""

    def __init__(self):
        self.clock, self.replying = Clock(), False
        sampler = StampSampler(fps=1.0, max_gap=100.0)
        self.scheduler = FrameScheduler(sampler, 3, lambda: self.replying, self.clock)
        self.batch = []

    def show(self, *stamps):
        for stamp in stamps:
            self.scheduler.offer(f"image {stamp}", float(stamp), f"tag {stamp}")

    def begin_to_encode(self):
        self.batch = self.scheduler.next_batch()
        return [frame.stamp for frame in self.batch]

    def done(self, *, readable=True):
        """Report the batch, encoded or not."""
        for frame in self.batch:
            frame.embeds = object() if readable else None
        self.scheduler.encoded(self.batch)

    def taken(self):
        return [frame.stamp for frame in self.scheduler.wait().frames]


@pytest.fixture
def camera():
    return Camera()


def in_thread(function):
    """Call a function that may block; returns the thread and where its result will be."""
    result = []
    thread = threading.Thread(target=lambda: result.append(function()), daemon=True)
    thread.start()
    return thread, result


def test_the_encoder_gets_one_frame_and_then_the_newest(camera):
    camera.show(0)
    assert camera.begin_to_encode() == [0]
    camera.show(1, 2, 3)
    camera.done()
    assert camera.begin_to_encode() == [3]
    assert (camera.taken(), camera.scheduler.dropped) == ([0], 2)


def test_an_encoded_frame_waits_for_the_decoder_until_a_newer_one_is_encoded(camera):
    camera.show(0)
    camera.begin_to_encode()
    camera.done()
    camera.show(1)
    assert (camera.scheduler.waiting, camera.scheduler.dropped) == (2, 0)
    assert camera.begin_to_encode() == [1]
    camera.done()
    assert (camera.taken(), camera.scheduler.dropped) == ([1], 1)


def test_a_frame_travels_with_its_tag_and_the_time_it_came(camera):
    camera.clock.now = 7.0
    camera.show(0)
    camera.begin_to_encode()
    camera.done()
    (frame,) = camera.scheduler.wait().frames
    assert (frame.image, frame.stamp, frame.tag, frame.received, frame.stream) == ("image 0", 0.0, "tag 0", 7.0, 1)


def test_frames_of_a_reply_are_encoded_in_order_and_bounded_by_the_backlog(camera):
    camera.replying = True
    camera.show(0)
    assert camera.begin_to_encode() == [0]
    camera.show(*range(1, 6))  # a frame that is being encoded is left alone
    camera.done()
    assert camera.begin_to_encode() == [3, 4, 5]
    camera.done()
    assert (camera.taken(), camera.scheduler.dropped) == ([3, 4, 5], 3)


def test_a_frame_dropped_in_the_encoder_does_not_hold_up_those_after_it(camera):
    camera.show(0)
    camera.begin_to_encode()
    camera.scheduler.drop_frames()
    camera.show(1)
    assert camera.batch[0].dropped and camera.batch[0].image is None
    camera.done()
    assert camera.begin_to_encode() == [1]
    camera.done()
    assert camera.taken() == [1]


def test_a_query_waits_for_the_frame_in_the_encoder_and_no_longer(camera):
    camera.show(0)
    camera.begin_to_encode()
    query = QueryAdmission().admit("What is it now?")
    camera.scheduler.submit(query)
    worker, work = in_thread(camera.scheduler.wait)
    worker.join(0.1)
    assert worker.is_alive() and (query.stamp, query.stream) == (0.0, 1)
    camera.done(readable=False)
    worker.join(TIMEOUT)
    assert work[0].queries == [query] and work[0].frames == []
    assert camera.scheduler.dropped == 0  # a frame that cannot be read is not dropped


def test_commands_come_before_queries_and_frames(camera):
    camera.show(0)
    camera.begin_to_encode()
    camera.done()
    camera.scheduler.post_command(print)
    assert camera.scheduler.wait().commands == [print]
    assert camera.taken() == [0]


def test_after_the_stream_was_ended_the_next_image_begins_another_whatever_its_stamp(camera):
    camera.show(10)
    camera.scheduler.end_stream()
    assert camera.scheduler.newest == 0.0  # a query is not stamped with the old stream's time
    camera.show(11)
    camera.begin_to_encode()
    camera.done()
    assert [frame.stream for frame in camera.scheduler.wait().frames] == [2]


def test_footage_that_waits_for_room_loses_no_frame(camera):
    seen = []

    def play():
        for stamp in range(50):
            camera.scheduler.offer(None, float(stamp), wait=True)

    player, _ = in_thread(play)
    while len(seen) < 50:
        camera.begin_to_encode()
        camera.done()
        seen += camera.taken()
    player.join(TIMEOUT)
    assert seen == list(range(50)) and camera.scheduler.dropped == 0


def test_a_player_that_waits_for_room_is_let_go_when_the_stream_is_closed(camera):
    camera.show(*range(2))

    def play():
        with pytest.raises(StreamClosedError):
            for stamp in range(2, 50):
                camera.scheduler.offer(None, float(stamp), wait=True)

    player, _ = in_thread(play)
    camera.scheduler.close()
    player.join(TIMEOUT)
    assert not player.is_alive() and camera.scheduler.next_batch() == []


def test_a_jump_is_believed_when_no_image_contradicts_it_in_time(camera):
    camera.show(1000)
    camera.begin_to_encode()
    camera.done()
    assert camera.taken() == [1000]
    camera.show(5)
    assert not camera.scheduler.wait_until_idle(0.0)
    encoder, batch = in_thread(camera.scheduler.next_batch)
    encoder.join(0.05)
    assert encoder.is_alive()
    camera.clock.now += CONFIRM_SECONDS
    encoder.join(TIMEOUT)
    assert [(frame.stamp, frame.stream) for frame in batch[0]] == [(5.0, 2)]


@pytest.mark.parametrize(("images", "seconds", "stalled"), [(4, 60.0, False), (50, 1.0, False), (50, 60.0, True)])
def test_stamps_stand_still_only_after_several_images_and_some_time(camera, images, seconds, stalled):
    camera.show(5)
    camera.clock.now += seconds
    camera.show(*[5] * images)
    assert camera.scheduler.is_stalled is stalled
    camera.show(6)
    assert not camera.scheduler.is_stalled


def test_it_is_idle_once_the_worker_waits_and_nothing_is_left(camera):
    assert not camera.scheduler.wait_until_idle(0.0)
    worker, _ = in_thread(camera.scheduler.wait)
    assert camera.scheduler.wait_until_idle(TIMEOUT)
    camera.show(0)
    assert not camera.scheduler.wait_until_idle(0.0)
    camera.begin_to_encode()
    camera.done()
    worker.join(TIMEOUT)
    assert not camera.scheduler.wait_until_idle(0.0)  # the worker reads it
