# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which frames are kept when the model is busy."""

from videollm_ros.assistant.frames import Frame, FrameQueue


def frame(stamp, *, kept=False, stream=1, encoded=True):
    each = Frame(image=object(), stamp=stamp, tag=None, received=0.0, stream=stream, kept=kept)
    each.embeds = object() if encoded else None
    return each


def filled(frames, backlog=8):
    queue = FrameQueue(backlog)
    for each in frames:
        queue.put(each)
    return queue


def stamps_of(queue):
    return [each.stamp for each in queue.take(100)]


def test_while_a_frame_is_read_only_the_newest_waits():
    queue = filled([frame(stamp) for stamp in range(5)])
    assert (stamps_of(queue), queue.dropped) == ([4], 4)


def test_during_a_reply_frames_are_kept_in_order_and_the_oldest_is_dropped_beyond_the_backlog():
    queue = filled([frame(stamp, kept=True) for stamp in range(6)], backlog=4)
    assert (stamps_of(queue), queue.dropped) == ([2, 3, 4, 5], 2)


def test_after_a_reply_the_kept_frames_stay_and_one_newest_waits_behind_them():
    queue = filled([frame(stamp, kept=stamp < 3) for stamp in range(6)])
    assert (stamps_of(queue), queue.dropped) == ([0, 1, 2, 5], 2)


def test_a_frame_of_a_new_stream_takes_the_place_of_what_waits_of_the_old_one():
    queue = filled([*(frame(stamp, kept=True) for stamp in (8.0, 9.0)), frame(1.0, stream=2)])
    assert (stamps_of(queue), queue.dropped) == ([1.0], 2)


def test_frames_are_taken_as_far_as_they_have_been_encoded():
    frames = [frame(stamp, kept=True, encoded=stamp != 2) for stamp in range(4)]
    queue = filled(frames)
    assert stamps_of(queue) == [0, 1]
    assert queue.to_encode(8) == [frames[2]] and not queue.has_to_encode
    queue.leave_encoder([frames[2]])  # it could not be encoded
    assert (stamps_of(queue), queue.dropped) == ([3], 0)


def test_no_more_frames_are_handed_out_than_asked_for_and_none_twice():
    queue = filled([frame(stamp, kept=True, encoded=False) for stamp in range(5)])
    batches = [[each.stamp for each in queue.to_encode(2)] for _ in range(4)]
    assert batches == [[0, 1], [2, 3], [4], []]


def test_a_dropped_frame_gives_its_pixels_back():
    old = frame(0, encoded=False)
    filled([old, frame(1, encoded=False)])
    assert old.dropped and old.image is None
