# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which images become frames."""

import itertools

import numpy as np
import pytest

from videollm_ros.media.sampling import Sample, SampledImage, StampSampler


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


def taken_with_images(stamps, fps=2.0, max_gap=10.0):
    """What is taken of images that are named after their number, and of the last jump once it is confirmed."""
    sampler = StampSampler(fps, max_gap)
    frames = [each for number, stamp in enumerate(stamps) for each in sampler.take(stamp, number)]
    return [*frames, *sampler.confirm()]


@pytest.mark.parametrize(
    "stamps",
    [
        (100.0, 100.5, 50.0, 50.5, 60.5),  # back
        (100.0, 100.5, 110.6, 111.1, 111.6),  # a gap
        (100.0, 100.5, 50.0),  # nothing more comes
        (100.0, 100.5, 200.0, 300.0, 400.0),  # every image is a jump
    ],
)
def test_a_jump_begins_a_new_stream_with_the_image_that_jumped(stamps):
    frames = taken_with_images(stamps)
    assert [(frame.image, frame.stamp) for frame in frames] == list(enumerate(stamps))
    jumps = [i for i, (before, after) in enumerate(itertools.pairwise(stamps), 1) if not -0.5 <= after - before <= 10]
    assert [frame.image for frame in frames if frame.begins_stream] == [0, *jumps]


@pytest.mark.parametrize("wrong", [5000.0, 0.0])
def test_one_wrong_stamp_costs_one_image_and_no_stream(wrong):
    frames = taken_with_images([100.0, 100.5, 101.0, wrong, 102.0, 102.5])
    assert [frame.stamp for frame in frames] == [100.0, 100.5, 101.0, 102.0, 102.5]
    assert [frame.begins_stream for frame in frames] == [True, False, False, False, False]


def test_two_cameras_on_one_topic_do_not_begin_a_stream_each_time():
    stamps = [stamp for index in range(100) for stamp in (100 + index / 2, 50 + index / 2)]
    assert sum(frame.begins_stream for frame in taken_with_images(stamps)) <= 2


def test_an_image_after_a_jump_is_held_until_it_is_confirmed():
    sampler = StampSampler(fps=2.0, max_gap=10.0)
    assert sampler.take(100.0, "first") == [SampledImage("first", 100.0, True)]
    assert sampler.take(5.0, "jump") == [] and sampler.is_holding and sampler.newest == 100.0
    assert sampler.confirm() == [SampledImage("jump", 5.0, True)]
    assert not sampler.is_holding and sampler.newest == 5.0 and sampler.confirm() == []


def test_callers_that_keep_no_image_begin_with_the_one_that_confirms_the_jump():
    sampler = StampSampler(fps=2.0, max_gap=10.0)
    offered = [100.0, 100.5, 50.0, 50.5, 60.5, 70.6, 71.1]
    new, due, no = Sample.NEW_STREAM, Sample.DUE, Sample.NOT_DUE
    assert [sampler.offer(stamp) for stamp in offered] == [new, due, no, new, due, no, new]


def test_an_image_that_comes_late_or_twice_is_no_jump_back():
    sampler = StampSampler(fps=2.0, max_gap=10.0)
    assert [sampler.offer(stamp) for stamp in (100.0, 100.4, 100.3, 100.4)][2:] == [Sample.NOT_DUE] * 2


def test_an_image_that_comes_twice_is_no_faster_camera():
    sampler = StampSampler(fps=2.0, max_gap=10.0)
    for stamp in (100.0, 100.0, 100.5, 100.5):
        sampler.offer(stamp)
    assert sampler.interval == pytest.approx(0.5)


def test_after_a_pause_the_missed_instants_are_not_made_up_for():
    sampler = StampSampler(fps=2.0, max_gap=10.0)
    stamps = [*camera(30, 2), *(105 + np.arange(30) / 30)]
    frames = [stamp for stamp in stamps if sampler.offer(stamp) is not Sample.NOT_DUE]
    assert np.diff(frames).min() > 0.45


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan")])
def test_a_rate_that_is_no_rate_is_refused(fps):
    with pytest.raises(ValueError, match="above 0 Hz"):
        StampSampler(fps, max_gap=10.0)
