# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is given to the encoder and to the inference thread, and when, however slow the encoder is."""

import threading

import pytest

from videollm_ros.assistant.encoder import EncodedFrame
from videollm_ros.assistant.queries import QueryDesk
from videollm_ros.assistant.scheduler import Inbox
from videollm_ros.media.sampling import StampSampler


class SlowEncoder:
    """Keeps what it is given until it is told that it is done."""

    def __init__(self, inbox):
        self._inbox, self.given = inbox, []
        inbox.encode = self.given.append

    def done(self):
        """Report everything that was given."""
        frames = list(self.given)
        self.given.clear()
        self._inbox.encoded([EncodedFrame(frame, embeds=None, encode_seconds=0.1) for frame in frames])

    def stamps(self):
        return [frame.stamp for frame in self.given]


@pytest.fixture
def inbox():
    return Inbox(StampSampler(fps=1.0, max_gap=100.0), backlog=3)


@pytest.fixture
def encoder(inbox):
    return SlowEncoder(inbox)


def show(inbox, *stamps):
    for stamp in stamps:
        inbox.offer(None, float(stamp), 0.0)


def taken(inbox):
    return [frame.stamp for frame in inbox.wait().frames]


def test_the_encoder_is_given_one_frame_and_then_the_newest(inbox, encoder):
    show(inbox, 0, 1, 2, 3)
    assert encoder.stamps() == [0]
    encoder.done()
    assert encoder.stamps() == [3]
    assert (taken(inbox), inbox.dropped) == ([0], 2)


def test_an_encoded_frame_waits_for_the_reader_until_a_newer_one_is_encoded(inbox, encoder):
    show(inbox, 0)
    encoder.done()
    show(inbox, 1, 2)
    assert (inbox.waiting, inbox.dropped) == (3, 0)
    encoder.done()
    assert (taken(inbox), inbox.dropped) == ([1], 1)


def test_frames_of_a_reply_are_encoded_in_order_and_bounded_by_the_backlog(inbox, encoder):
    inbox.replying = True
    show(inbox, *range(6))
    assert encoder.stamps() == [0]  # a frame that the encoder has is left alone
    encoder.done()
    assert encoder.stamps() == [3, 4, 5]
    encoder.done()
    assert (taken(inbox), inbox.dropped) == ([3, 4, 5], 3)


def test_a_frame_dropped_in_the_encoder_does_not_hold_up_those_after_it(inbox, encoder):
    show(inbox, 0, 1)
    inbox.drop_frames()
    show(inbox, 2)
    dropped = encoder.given.pop()
    assert dropped.dropped and encoder.stamps() == []
    inbox.discard(dropped)
    assert encoder.stamps() == [2]


def test_a_query_waits_for_the_frame_in_the_encoder_and_no_longer(inbox, encoder):
    show(inbox, 0)
    inbox.submit(QueryDesk().accept("What is it now?"))
    work = []
    waiting = threading.Thread(target=lambda: work.append(inbox.wait()), daemon=True)
    waiting.start()
    waiting.join(0.1)
    assert waiting.is_alive()
    inbox.discard(encoder.given.pop())
    waiting.join(10)
    assert [query.text for query in work[0].queries] == ["What is it now?"]
