# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What happens in a simulated stream."""

import itertools

import pytest

from videollm_ros.sim import Tabletop, quiet_intervals, quiet_minutes
from videollm_ros.sim.script import write_script
from videollm_ros.sim.world import KINDS, MAX_ITEMS

SEEDS = range(40)


@pytest.fixture(scope="module", params=SEEDS)
def tabletop(request):
    return Tabletop(request.param, 60.0)


def test_a_stream_is_made_of_its_seed_alone():
    assert Tabletop(5, 60).events == Tabletop(5, 60).events
    assert Tabletop(5, 60).questions == Tabletop(5, 60).questions
    assert Tabletop(5, 60).events != Tabletop(6, 60).events


def test_events_are_in_order_and_two_seconds_apart_at_least(tabletop):
    assert all(event.onset < event.time for event in tabletop.events)
    assert all(second.onset - first.time >= 2 for first, second in itertools.pairwise(tabletop.events))


def test_every_stream_of_a_minute_has_a_quiet_stretch_of_ten_seconds(tabletop):
    assert quiet_intervals(tabletop.events, 60.0, at_least=10.0)


def test_no_event_lies_in_a_quiet_interval(tabletop):
    intervals = quiet_intervals(tabletop.events, 60.0, tolerance=1.0)
    for start, stop in intervals:
        assert not any(event.onset < stop and start < event.time + 1.0 for event in tabletop.events)
    busy = sum(event.time - event.onset + 1.0 for event in tabletop.events)
    assert quiet_minutes(tabletop.events, 60.0) * 60 == pytest.approx(60.0 - busy)


def test_every_event_does_to_the_scene_what_its_kind_says(tabletop):
    for event in tabletop.events:
        before, after = tabletop.state(event.onset), tabletop.state(event.time)
        was, now = before.where(event.item), after.where(event.item)
        assert {
            "appear": was is None and now in ("left", "middle", "right"),
            "remove": was not in (None, "gripper") and now is None,
            "move": was not in (None, "gripper", now) and now not in (None, "gripper"),
            "pick": was not in (None, "gripper") and now == "gripper",
            "put": was == "gripper" and now not in (None, "gripper"),
        }[event.kind]
        others = [item for item in before.visible if item != event.item]
        assert all(before.where(item) == after.where(item) for item in others)


def test_no_two_visible_items_share_a_name_or_a_place(tabletop):
    for event in tabletop.events:
        state = tabletop.state(event.time)
        assert len(set(state.visible)) == len(state.visible) <= MAX_ITEMS
        assert len({place for place, _ in state.table}) == len(state.table)


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_falls_or_rises_through_the_gripper(seed):
    script = write_script(seed, 60.0)
    for event in script.events:
        grip = script.grip(event.onset)
        if event.kind in ("appear", "remove") and grip:
            moving = [a for a in script.actors if a.item == event.item and a.enters <= event.onset <= a.leaves]
            x = moving[0].track.at(event.time)[0]
            assert abs(x - script.gripper.at(event.time)[0]) > 0.25


def test_all_kinds_of_event_and_several_items_at_once_occur():
    streams = [Tabletop(seed, 60) for seed in SEEDS]
    assert {event.kind for stream in streams for event in stream.events} == set(KINDS)
    crowded = [stream for stream in streams if any(len(stream.state(t).visible) > 1 for t in range(60))]
    assert len(crowded) > len(streams) / 2


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_a_stream_must_last(seconds):
    with pytest.raises(ValueError, match="longer than 0 s"):
        Tabletop(0, seconds)
