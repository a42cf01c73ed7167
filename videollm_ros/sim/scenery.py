# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What stands around the items: their shadows, the gripper, and the background."""

import cv2
import numpy as np

from videollm_ros.sim.draw import Pen, Sprite

OPEN_WIDTH = 0.34  # inner width of the open gripper, in frame units
TIP = 0.35  # height at which the fingers end, over that of the item they hold


def shadow_sprite(width: float, pixels: float) -> Sprite:
    """The contact shadow of an item `width` times as wide as high, for a height of `pixels`."""
    pen = Pen(width * 1.3, 0.24, pixels)
    for grow, alpha in ((1.0, 0.18), (0.85, 0.34), (0.7, 0.5)):
        pen.ellipse(width * 0.65, 0.12, width * 0.65 * grow, 0.12 * grow, (12, 10, 10), alpha)
    return pen.sprite((width * 0.65, 0.15))


def gripper_sprite(inner: float, size: float, pixels: float) -> Sprite:
    """A two-finger gripper with its arm, `inner` wide between the fingers, for an item of height `size`.

    Both are in frame units, for a frame side of `pixels`. Its foot is the foot of the item that it holds.
    """
    finger, palm, arm, reach = 0.035, 0.055, 0.09, 1.0
    tip = reach - size * TIP
    top = reach - size - 0.02 - palm
    w = OPEN_WIDTH + 2 * finger + 0.02
    left, right, middle = w / 2 - inner / 2 - finger, w / 2 + inner / 2 + finger, w / 2
    pen = Pen(w, reach, pixels)
    steel, dark, joint = (96, 100, 108), (40, 42, 48), (24, 24, 28)
    pen.polygon([(middle - arm / 2, 0), (middle + arm / 2, 0), (middle + arm / 2, top), (middle - arm / 2, top)], dark)
    pen.polygon([(middle - 0.02, 0), (middle + 0.015, 0), (middle + 0.015, top), (middle - 0.02, top)], steel)
    pen.polygon([(left, top), (right, top), (right, top + palm), (left, top + palm)], joint)
    for inside, outside in ((left + finger, left), (right - finger, right)):
        pen.polygon([(inside, top), (outside, top), (outside, tip), (inside, tip)], joint)
        edge = 0.008 if outside > inside else -0.008
        pen.polygon(
            [
                (inside + edge, top + 0.02),
                (outside - edge, top + 0.02),
                (outside - edge, tip),
                (inside + edge, tip),
            ],
            steel,
        )
    return pen.sprite((middle, reach))


def background(rng: np.random.Generator, resolution: int) -> np.ndarray:
    """A wall above a table top, both dull and patterned, [R, R, 3] uint8."""
    side = resolution
    image = np.empty((side, side, 3), np.float32)
    horizon = int(side * rng.uniform(0.52, 0.64))
    rows, columns = np.mgrid[0:side, 0:side].astype(np.float32) / side
    wall, table = _dull(rng, 120, 225), _dull(rng, 70, 190)
    if abs(wall.mean() - table.mean()) < 25:
        table = table * 0.72
    slope = rng.uniform(-0.25, 0.25, 2)
    image[:] = wall * (1 + slope[0] * (columns - 0.5) + slope[1] * (rows - 0.5))[..., None]
    grain = np.sin(rows * rng.uniform(20, 60) + 2 * np.sin(columns * rng.uniform(2, 9) + rng.uniform(0, 6)))
    wood = table * (1 + 0.05 * grain + 0.2 * (rows - 0.8))[..., None]
    image[horizon:] = wood[horizon:]
    image[horizon : horizon + max(side // 48, 1)] *= 0.7  # the edge of the table
    if rng.random() < 0.6:  # something flat on the wall
        x, y = rng.uniform(0, 0.7, 2) * (side, side * 0.4)
        patch = image[int(y) : int(y + side * rng.uniform(0.1, 0.25)), int(x) : int(x + side * rng.uniform(0.1, 0.3))]
        patch *= rng.uniform(0.82, 1.12)
    spots = cv2.resize(rng.normal(0, 5, (8, 8, 1)).astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(image + spots[..., None], 0, 255), np.uint8)


def _dull(rng: np.random.Generator, low: float, high: float) -> np.ndarray:
    """A colour near grey, a little warm or cold, RGB float."""
    grey, warm = rng.uniform(low, high), rng.uniform(-0.08, 0.14)
    return np.array((grey * (1 + warm), grey, grey * (1 - warm)), np.float32)
