# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the items look like: five silhouettes that differ in height, width and outline, in any colour."""

import numpy as np
from numpy.typing import NDArray

from videollm_ros.sim.draw import Pen, Sprite

HEIGHTS = {"cup": 0.22, "cube": 0.25, "ball": 0.25, "bottle": 0.36, "cone": 0.29}  # in frame units
WIDTHS = {"cup": 1.35, "cube": 1.0, "ball": 1.0, "bottle": 0.42, "cone": 1.0}  # over the height
Color = NDArray[np.float32]
"""RGB from 0 to 255 [3]."""
WHITE = np.array((245, 245, 245), np.float32)


def item_sprite(shape: str, rgb: np.ndarray, pixels: float) -> Sprite:
    """An item of height `pixels` in the colour `rgb`, its foot in the middle of its lower edge."""
    pen = Pen(WIDTHS[shape], 1.0, pixels)
    base = np.clip(rgb, 0, 255).astype(np.float32)
    _DRAWINGS[shape](pen, base, base + (255 - base) * 0.45, base * 0.62, base * 0.35)
    return pen.sprite((WIDTHS[shape] / 2, 1.0))


def _cup(pen: Pen, base: Color, light: Color, dark: Color, edge: Color) -> None:
    pen.ellipse(1.02, 0.52, 0.26, 0.26, edge, thickness=0.13)
    pen.polygon([(0.0, 0.14), (1.04, 0.14), (0.86, 1), (0.18, 1)], edge)
    pen.polygon([(0.06, 0.18), (0.98, 0.18), (0.82, 0.95), (0.22, 0.95)], base)
    pen.polygon([(0.14, 0.3), (0.3, 0.3), (0.36, 0.9), (0.26, 0.9)], light)
    pen.ellipse(0.52, 0.15, 0.52, 0.15, edge)
    pen.ellipse(0.52, 0.15, 0.45, 0.1, base * 0.15)


def _cube(pen: Pen, base: Color, light: Color, dark: Color, edge: Color) -> None:
    pen.polygon([(0, 0.26), (0.26, 0), (1, 0), (1, 0.74), (0.74, 1), (0, 1)], edge)
    pen.polygon([(0.03, 0.28), (0.72, 0.28), (0.72, 0.97), (0.03, 0.97)], base)
    pen.polygon([(0.06, 0.25), (0.28, 0.03), (0.95, 0.03), (0.73, 0.25)], light)
    pen.polygon([(0.755, 0.27), (0.97, 0.06), (0.97, 0.73), (0.755, 0.95)], dark)


def _ball(pen: Pen, base: Color, light: Color, dark: Color, edge: Color) -> None:
    pen.ellipse(0.5, 0.5, 0.5, 0.5, edge)
    pen.ellipse(0.5, 0.5, 0.46, 0.46, dark)
    pen.ellipse(0.47, 0.47, 0.42, 0.42, base)
    pen.ellipse(0.34, 0.32, 0.14, 0.14, WHITE)


def _bottle(pen: Pen, base: Color, light: Color, dark: Color, edge: Color) -> None:
    pen.polygon([(0.11, 0.1), (0.31, 0.1), (0.31, 0.28), (0.42, 0.4), (0.42, 1), (0, 1), (0, 0.4), (0.11, 0.28)], edge)
    pen.polygon([(0.14, 0.1), (0.28, 0.1), (0.28, 0.3), (0.39, 0.42), (0.03, 0.42), (0.14, 0.3)], base)
    pen.polygon([(0.03, 0.42), (0.39, 0.42), (0.39, 0.975), (0.03, 0.975)], base)
    pen.polygon([(0.08, 0), (0.34, 0), (0.34, 0.1), (0.08, 0.1)], edge)
    pen.polygon([(0.03, 0.54), (0.39, 0.54), (0.39, 0.78), (0.03, 0.78)], WHITE)


def _cone(pen: Pen, base: Color, light: Color, dark: Color, edge: Color) -> None:
    pen.polygon([(0.5, 0), (1, 0.91), (0, 0.91)], edge)
    pen.ellipse(0.5, 0.91, 0.5, 0.09, edge)
    pen.polygon([(0.5, 0.07), (0.95, 0.9), (0.05, 0.9)], base)
    pen.ellipse(0.5, 0.9, 0.45, 0.07, base)
    pen.polygon([(0.5, 0.07), (0.46, 0.95), (0.2, 0.93)], light)


_DRAWINGS = {"cup": _cup, "cube": _cube, "ball": _ball, "bottle": _bottle, "cone": _cone}
