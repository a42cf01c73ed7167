# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The offset of a camera's clock is found under jitter, drift and jumps, and reported once."""

import random

import pytest

from videollm_ros.assistant.camera_clock import CameraClock

NOW = 1_795_000_000.0


def feed(clock: CameraClock, offset: float, images: int = 40, rate: float = 10.0, start: float = NOW, jitter=0.3):
    """Images whose camera's clock is `offset` seconds ahead of ours, each delayed by 5 ms up to `jitter` s more."""
    rng = random.Random(7)
    reports, arrival = [], start
    for index in range(images):
        taken = start + index / rate
        arrival = max(arrival, taken + 0.005 + jitter * rng.random())
        clock.observe(taken + offset, arrival)
        reports.append(clock.report())
    return [report for report in reports if report]


@pytest.mark.parametrize("offset", [3.0, -3.0, 5.0 - NOW, 86400.0 * 30])
def test_an_offset_is_found_within_50_ms_whatever_the_jitter(offset):
    clock = CameraClock()
    reports = feed(clock, offset, images=100)
    assert clock.offset == pytest.approx(-offset, abs=0.05)
    assert len(reports) == 1


@pytest.mark.parametrize("offset", [0.0, 0.4, -0.9])
def test_a_small_offset_counts_as_one_clock(offset):
    clock = CameraClock()
    assert feed(clock, offset) == []
    assert clock.offset == 0.0
    assert clock.describe() == ""


def test_the_report_says_which_clock_is_ahead():
    ahead, behind = CameraClock(), CameraClock()
    assert "3.0 s ahead" in feed(ahead, 3.0)[0]
    assert "56.9 years behind" in feed(behind, 5.0 - NOW)[0]


def test_the_first_images_may_have_waited_in_a_queue():
    clock = CameraClock()
    for index in range(5):  # five old images arrive at once, two seconds late
        clock.observe(NOW + index / 10, NOW + 2.5)
        assert clock.report() == ""
    assert feed(clock, 0.0, start=NOW + 3.0) == []


def test_a_drifting_clock_is_followed_and_not_reported_again():
    clock = CameraClock()
    reports = []
    for index in range(3000):  # 300 s at 10 Hz, 1 ms of drift a second
        taken = NOW + index / 10
        clock.observe(taken + 5.0 + 0.001 * (index / 10), taken + 0.01)
        reports += filter(None, [clock.report()])
    assert clock.offset == pytest.approx(-5.3, abs=0.1)
    assert len(reports) == 1


def test_a_clock_that_is_set_right_is_no_longer_corrected():
    clock = CameraClock()
    feed(clock, -3.0)
    feed(clock, 0.0, images=10, start=NOW + 100.0)
    assert clock.offset == 0.0


def test_our_own_clock_may_be_set_back():
    clock = CameraClock()
    feed(clock, 0.0, start=NOW)
    feed(clock, 0.0, start=NOW - 1000.0)
    assert clock.offset == 0.0


def test_another_device_may_begin_to_send():
    clock = CameraClock()
    feed(clock, 0.0, images=20)
    feed(clock, 5.0 - NOW, images=20, start=NOW + 3.0)
    assert clock.offset == pytest.approx(NOW - 5.0, abs=0.05)
