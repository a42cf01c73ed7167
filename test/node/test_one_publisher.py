# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The images of one publisher are told from those of another by their numbers, and silence by the camera's own rate."""

import pytest

pytest.importorskip("rclpy", reason="there is no ROS 2 here")

from videollm_ros.node.one_publisher import OnePublisher


def taken(messages):
    """Which of (sender, number, seconds) are taken as the followed publisher's."""
    source, senders = OnePublisher(0.0), []
    for sender, number, now in messages:
        if source.is_next(number, now):
            source.follow(number, now)
            senders.append(sender)
    return "".join(senders)


def stream(sender, first, rate, start, stop):
    count = round((stop - start) * rate)
    return [(sender, first + index, start + index / rate) for index in range(count)]


def mixed(*streams):
    return sorted((message for each in streams for message in each), key=lambda message: message[2])


def test_a_second_publisher_that_begins_later_is_not_taken():
    both = mixed(stream("a", 1, 30, 0, 5), stream("b", 1, 30, 1.01, 5))
    assert taken(both) == "a" * 150


def test_of_two_that_begin_together_one_is_taken_after_the_first_second():
    both = mixed(stream("a", 1, 30, 0, 5), stream("b", 1, 30, 0.013, 5))
    later = taken(both)[60:]
    assert len(set(later)) == 1


def test_a_faster_publisher_takes_over_once():
    both = mixed(stream("a", 1, 10, 0, 20), stream("b", 1, 30, 5, 20))
    senders = taken(both)
    assert senders == "a" * senders.count("a") + "b" * senders.count("b")
    assert senders.count("b") > 300


def test_another_publisher_is_taken_when_the_first_falls_silent():
    both = mixed(stream("a", 1, 30, 0, 2), stream("b", 1, 30, 1, 5))
    senders = taken(both)
    assert senders.startswith("a" * 60 + "b") and senders.count("b") == pytest.approx(60, abs=2)


def test_lost_messages_and_a_middleware_without_numbers_are_no_obstacle():
    assert taken([("a", number, number / 30) for number in range(1, 300, 7)]) == "a" * 43
    assert taken([("a", None, index / 30) for index in range(10)]) == "a" * 10


@pytest.mark.parametrize("interval", [1 / 60, 0.4, 5.0, 60.0])
def test_a_camera_is_silent_by_its_own_rate(interval):
    source = OnePublisher(0.0)
    for index in range(20):
        source.follow(index, index * interval)
    last = 19 * interval
    usual = max(1.0, 3 * interval)
    assert source.silence(last + 0.99 * usual) == 0.0
    assert source.silence(last + 1.01 * usual) == pytest.approx(1.01 * usual)


def test_a_camera_that_becomes_slow_is_believed_after_a_few_images():
    source, now = OnePublisher(0.0), 0.0
    for index in range(100):
        now = index / 30
        source.follow(index, now)
    silences = []
    for index in range(100, 110):
        now += 5.0
        silences.append(source.silence(now) > 0)
        source.follow(index, now)
    assert silences[0] and not any(silences[5:])


def test_before_the_first_image_the_silence_counts_from_the_beginning_and_after_one_it_is_patient():
    source = OnePublisher(100.0)
    assert source.silence(103.0) == pytest.approx(3.0)
    source.follow(1, 104.0)
    assert source.silence(109.0) == 0.0 and source.silence(115.0) == pytest.approx(11.0)


def test_who_sends_is_in_doubt_after_silence_and_after_a_jump_of_the_number():
    source = OnePublisher(0.0)
    for index in range(60):
        source.follow(index, index / 30)
    assert source.is_certain(61, 2.0) and source.is_certain(70, 2.3)
    assert not source.is_certain(5000, 2.0)
    assert not source.is_certain(61, 5.0)
    assert not source.is_certain(None, 2.0)
