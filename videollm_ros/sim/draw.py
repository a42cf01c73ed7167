# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of the parts: items, gripper, shadows and background, in RGB, drawn large and then averaged."""

from dataclasses import dataclass

import cv2
import numpy as np

OVERSAMPLING = 4
WIDTHS = {
    "cup": 0.98,
    "cube": 0.9,
    "ball": 0.9,
    "bottle": 0.54,
    "cone": 0.9,
}  # width of a shape over its height
OPEN_WIDTH = 0.34  # inner width of the open gripper


@dataclass(frozen=True)
class Sprite:
    """A picture with soft edges: `colour` [h, w, 3] float32 times alpha, `clear` [h, w, 1] = 1 - alpha.

    `foot` (x, y) is the pixel that is laid on the position in the frame.
    """

    colour: np.ndarray
    clear: np.ndarray
    foot: tuple[float, float]

    def paste(self, image: np.ndarray, x: float, y: float) -> None:
        """Draw onto `image` [R, R, 3] uint8 with the foot at pixel (x, y); what lies outside is cut off."""
        left, top = round(x - self.foot[0]), round(y - self.foot[1])
        height, width = self.clear.shape[:2]
        rows = slice(max(-top, 0), min(height, image.shape[0] - top))
        columns = slice(max(-left, 0), min(width, image.shape[1] - left))
        if rows.start >= rows.stop or columns.start >= columns.stop:
            return
        part = image[rows.start + top : rows.stop + top, columns.start + left : columns.stop + left]
        part[:] = part * self.clear[rows, columns] + self.colour[rows, columns]


class Pen:
    """Draws polygons and ellipses given in units of `unit` pixels onto a transparent picture."""

    def __init__(self, width: float, height: float, unit: float):
        self.unit = unit * OVERSAMPLING
        self.size = max(round(width * unit), 1), max(round(height * unit), 1)
        self.image = np.zeros((self.size[1] * OVERSAMPLING, self.size[0] * OVERSAMPLING, 4), np.float32)

    def polygon(self, points, colour, alpha: float = 1.0) -> None:
        corners = np.round(np.array(points) * self.unit * 16).astype(np.int32)
        cv2.fillPoly(self.image, [corners], _rgba(colour, alpha), shift=4)

    def ellipse(self, x, y, rx, ry, colour, alpha: float = 1.0, thickness: float | None = None) -> None:
        centre, axes = ((round(v * self.unit * 16) for v in pair) for pair in ((x, y), (rx, ry)))
        line = -1 if thickness is None else max(round(thickness * self.unit), 1)
        cv2.ellipse(self.image, tuple(centre), tuple(axes), 0, 0, 360, _rgba(colour, alpha), line, shift=4)

    def sprite(self, foot: tuple[float, float]) -> Sprite:
        image = self.image
        image[..., :3] *= image[..., 3:]
        image = cv2.resize(image, self.size, interpolation=cv2.INTER_AREA)
        unit = self.unit / OVERSAMPLING
        return Sprite(image[..., :3].copy(), 1 - image[..., 3:], (foot[0] * unit, foot[1] * unit))


def _rgba(colour, alpha: float) -> tuple[float, ...]:
    return (*(float(part) for part in colour), float(alpha))


def item_sprite(shape: str, rgb: np.ndarray, pixels: float) -> Sprite:
    """An item of height `pixels`, its foot in the middle of its lower edge."""
    w = WIDTHS[shape]
    pen = Pen(w, 1.0, pixels)
    base = np.clip(rgb, 0, 255).astype(np.float32)
    light, dark, edge = base + (255 - base) * 0.45, base * 0.62, base * 0.4
    if shape == "cube":
        pen.polygon([(0, 0.22), (0.24, 0), (w, 0), (w, 0.76), (w - 0.24, 1), (0, 1)], edge)
        pen.polygon([(0.03, 0.25), (w - 0.27, 0.25), (w - 0.27, 0.97), (0.03, 0.97)], base)
        pen.polygon([(0.07, 0.21), (0.26, 0.03), (w - 0.05, 0.03), (w - 0.25, 0.21)], light)
        pen.polygon([(w - 0.23, 0.24), (w - 0.03, 0.06), (w - 0.03, 0.74), (w - 0.23, 0.94)], dark)
    elif shape == "ball":
        pen.ellipse(w / 2, 1 - w / 2, w / 2, w / 2, edge)
        pen.ellipse(w / 2, 1 - w / 2, w / 2 - 0.035, w / 2 - 0.035, dark)
        pen.ellipse(w / 2 - 0.03, 0.97 - w / 2, w / 2 - 0.08, w / 2 - 0.08, base)
        pen.ellipse(w * 0.36, 1 - w * 0.66, 0.1, 0.1, light)
    elif shape == "bottle":
        pen.polygon([(0.13, 0.12), (0.37, 0.12), (0.37, 0.3), (w, 0.46), (w, 1), (0, 1), (0, 0.46), (0.13, 0.3)], edge)
        pen.polygon(
            [
                (0.165, 0.12),
                (0.335, 0.12),
                (0.335, 0.32),
                (0.465, 0.48),
                (0.465, 0.965),
                (0.035, 0.965),
                (0.035, 0.48),
                (0.165, 0.32),
            ],
            base,
        )
        pen.polygon([(0.11, 0), (0.39, 0), (0.39, 0.13), (0.11, 0.13)], edge)
        pen.polygon([(0.035, 0.58), (0.465, 0.58), (0.465, 0.82), (0.035, 0.82)], light)
    elif shape == "cone":
        pen.polygon([(w / 2, 0), (w, 0.9), (0, 0.9)], edge)
        pen.ellipse(w / 2, 0.9, w / 2, 0.1, edge)
        pen.polygon([(w / 2, 0.08), (w - 0.05, 0.89), (0.05, 0.89)], base)
        pen.ellipse(w / 2, 0.89, w / 2 - 0.045, 0.075, base)
        pen.polygon([(w / 2, 0.08), (w * 0.5, 0.95), (w * 0.24, 0.93)], light)
    else:
        pen.ellipse(0.72, 0.52, 0.2, 0.22, edge, thickness=0.12)
        pen.polygon([(0.0, 0.12), (0.76, 0.12), (0.62, 1), (0.14, 1)], edge)
        pen.polygon([(0.05, 0.16), (0.71, 0.16), (0.58, 0.96), (0.18, 0.96)], base)
        pen.polygon([(0.1, 0.3), (0.22, 0.3), (0.27, 0.9), (0.2, 0.9)], light)
        pen.ellipse(0.38, 0.13, 0.38, 0.12, edge)
        pen.ellipse(0.38, 0.13, 0.32, 0.08, base * 0.2)
    return pen.sprite((w / 2, 1.0))


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
    tip = reach - size * 0.35  # the fingers end above the foot of the item
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
    return np.clip(image + spots[..., None], 0, 255).astype(np.uint8)


def _dull(rng: np.random.Generator, low: float, high: float) -> np.ndarray:
    """A colour near grey, a little warm or cold, RGB float."""
    grey, warm = rng.uniform(low, high), rng.uniform(-0.08, 0.14)
    return np.array((grey * (1 + warm), grey, grey * (1 - warm)), np.float32)
