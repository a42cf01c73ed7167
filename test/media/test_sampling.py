# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which images become frames, and which of those are kept when the model is busy."""

import numpy as np
import pytest

from videollm_ros.assistant.scheduler import Frame, FrameQueue
from videollm_ros.media.sampling import Sample, StampSampler


def camera(rate, seconds, *, jitter=0.0, drift=0.0, seed=0):
    """Stamps of a camera that starts at 100 s; jitter is the share of its interval by which a stamp may be off."""
    interval = 1 / rate
    ideal = 100 + np.arange(int(seconds * rate)) * interval * (1 + drift)
    return ideal + np.random.default_rng(seed).uniform(-jitter, jitter, len(ideal)) * interval


def taken(stamps, fps, max_gap=10.0):
    sampler = StampSampler(fps, max_gap)
    return [stamp for stamp in stamps if sampler.offer(stamp) is not Sample.NOT_DUE]


@pytest.mark.parametrize("rate", [5, 7, 15, 29.97, 30, 60])
@pytest.mark.parametrize("jitter", [0.0, 0.1, 0.4])
def test_any_faster_camera_is_sampled_at_exactly_the_rate_asked_for(rate, jitter):
    frames = taken(camera(rate, 100, jitter=jitter), fps=2.0)
    assert (len(frames) - 1) / (frames[-1] - frames[0]) == pytest.approx(2.0, rel=0.01)


def test_a_30_hz_camera_gives_frames_half_a_second_apart():
    gaps = np.diff(taken(camera(30, 60), fps=2.0))
    assert np.allclose(gaps, 0.5)


@pytest.mark.parametrize("drift", [0.0, 1e-4, -1e-4, 1e-3, -1e-3])
@pytest.mark.parametrize("seed", range(5))
def test_a_2_hz_camera_sampled_at_2_fps_loses_next_to_nothing_through_jitter_and_drift(drift, seed):
    stamps = camera(2, 1000, jitter=0.2, drift=drift, seed=seed)
    assert len(taken(stamps, fps=2.0)) >= 0.995 * len(stamps)


def test_a_camera_slower_than_the_rate_loses_nothing():
    stamps = camera(1, 100, jitter=0.3)
    assert taken(stamps, fps=2.0) == list(stamps)


def test_a_jump_back_and_a_long_gap_begin_a_new_stream():
    sampler = StampSampler(fps=2.0, max_gap=10.0)
    offered = [100.0, 100.5, 50.0, 50.5, 60.5, 70.6]
    new, due = Sample.NEW_STREAM, Sample.DUE
    assert [sampler.offer(stamp) for stamp in offered] == [new, due, new, due, due, new]


def test_an_image_that_comes_late_or_twice_is_no_jump_back():
    sampler = StampSampler(fps=2.0, max_gap=10.0)
    assert [sampler.offer(stamp) for stamp in (100.0, 100.4, 100.3, 100.4)][2:] == [Sample.NOT_DUE] * 2


def test_after_a_pause_the_missed_instants_are_not_made_up_for():
    sampler = StampSampler(fps=2.0, max_gap=10.0)
    stamps = [*camera(30, 2), *(105 + np.arange(30) / 30)]
    frames = [stamp for stamp in stamps if sampler.offer(stamp) is not Sample.NOT_DUE]
    assert np.diff(frames).min() > 0.45


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan")])
def test_a_rate_that_is_no_rate_is_refused(fps):
    with pytest.raises(ValueError, match="above 0 Hz"):
        StampSampler(fps, max_gap=10.0)


def frame(stamp, *, kept=False, stream=1):
    """A frame that has been encoded already."""
    return Frame(message=None, stamp=stamp, received=0.0, stream=stream, kept=kept, encoded=object())


def stamps_of(queue):
    return [each.stamp for each in queue.take(100)]


def test_while_a_frame_is_read_only_the_newest_waits():
    queue = FrameQueue(backlog=4)
    for stamp in range(5):
        queue.put(frame(stamp))
    assert (stamps_of(queue), queue.dropped) == ([4], 4)


def test_during_a_reply_frames_are_kept_in_order_and_the_oldest_is_dropped_beyond_the_backlog():
    queue = FrameQueue(backlog=4)
    for stamp in range(6):
        queue.put(frame(stamp, kept=True))
    assert (stamps_of(queue), queue.dropped) == ([2, 3, 4, 5], 2)


def test_after_a_reply_the_kept_frames_stay_and_one_newest_waits_behind_them():
    queue = FrameQueue(backlog=8)
    for stamp in range(6):
        queue.put(frame(stamp, kept=stamp < 3))
    assert (stamps_of(queue), queue.dropped) == ([0, 1, 2, 5], 2)


def test_a_frame_of_a_new_stream_takes_the_place_of_what_waits_of_the_old_one():
    queue = FrameQueue(backlog=8)
    for stamp in (8.0, 9.0):
        queue.put(frame(stamp, kept=True))
    queue.put(frame(1.0, stream=2))
    assert (stamps_of(queue), queue.dropped) == ([1.0], 2)


def test_frames_are_taken_as_far_as_they_have_been_encoded():
    queue = FrameQueue(backlog=8)
    frames = [frame(stamp, kept=True) for stamp in range(4)]
    frames[2].encoded = None
    for each in frames:
        queue.put(each)
    assert stamps_of(queue) == [0, 1]
    queue.discard(frames[2])
    assert (stamps_of(queue), queue.dropped) == ([3], 0)
