# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the camera shows of a simulated stream."""

import numpy as np
import pytest

from videollm_ros.sim import Tabletop


def test_frames_are_made_of_seed_and_time_alone():
    first = Tabletop(3, 30).frames(2.0)
    assert first.shape == (60, 96, 96, 3) and first.dtype == np.uint8
    assert np.array_equal(first, Tabletop(3, 30).frames(2.0))
    assert not np.array_equal(first, Tabletop(4, 30).frames(2.0))


def test_the_same_time_shows_the_same_frame_at_any_rate_and_in_any_order():
    tabletop = Tabletop(3, 20)
    slow, fast = tabletop.frames(2.0), tabletop.frames(10.0)
    assert np.array_equal(slow, fast[::5])
    assert np.array_equal(tabletop.frames_at([9.5, 0.5]), slow[[19, 1]])
    assert np.array_equal(tabletop.frames(2.0, 7, 12), slow[7:12])


@pytest.mark.parametrize("resolution", [32, 64, 224])
def test_frames_come_in_any_resolution(resolution):
    assert Tabletop(1, 5, resolution).render(2.0).shape == (resolution, resolution, 3)


def test_frames_of_no_use_are_refused():
    with pytest.raises(ValueError, match="16 pixels"):
        Tabletop(1, 5, 16)


def test_the_scene_differs_before_and_after_every_event_by_more_than_noise():
    for seed in range(10):
        tabletop = Tabletop(seed, 60)
        for event in tabletop.events:
            # Between the last two nothing happens: only noise, light and shake change.
            before, after, later = tabletop.frames_at(
                [event.onset - 0.05, event.time + 0.05, event.time + 0.55]
            ).astype(np.float32)
            blocks = [np.abs(_blocks(a) - _blocks(b)).max() for a, b in ((before, after), (after, later))]
            assert blocks[0] > 2.5 * blocks[1], (seed, event.text, blocks)


def test_an_item_shows_its_colour_where_the_state_says_it_stands():
    columns = {"left": slice(6, 26), "middle": slice(38, 58), "right": slice(70, 90)}
    strongest = {"red": 0, "green": 1, "blue": 2}
    checked = 0
    for seed in range(30):
        tabletop = Tabletop(seed, 60)
        for event in tabletop.events:
            frame = tabletop.render(event.time + 0.2).astype(int)
            for place, item in tabletop.state(event.time).table:
                if item.colour in strongest:
                    patch = frame[70:84, columns[place]].reshape(-1, 3)
                    vivid = patch[np.argsort(np.ptp(patch, axis=1))[-40:]].mean(axis=0)
                    assert vivid.argmax() == strongest[item.colour], (seed, event, place, item)
                    checked += 1
    assert checked > 100


def _blocks(frame: np.ndarray) -> np.ndarray:
    """Means over blocks of 12 x 12 pixels, which noise hardly moves."""
    return frame.reshape(8, 12, 8, 12, 3).mean(axis=(1, 3))
