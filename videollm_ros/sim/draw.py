# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sprites: pictures with soft edges, drawn large with a pen and then averaged, that are pasted into frames."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

OVERSAMPLING = 4


@dataclass(frozen=True)
class Sprite:
    """A picture with soft edges: `colour` [h, w, 3] float32 times alpha, `clear` [h, w, 1] = 1 - alpha.

    `foot` (x, y) is the pixel that is laid on the position in the frame.
    """

    colour: np.ndarray
    clear: np.ndarray
    foot: tuple[float, float]

    def paste(self, image: np.ndarray, x: float, y: float) -> None:
        """Draw onto `image` [R, R, 3] uint8 with the foot at pixel (x, y). What lies outside is cut off."""
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

    def polygon(self, points: Sequence[tuple[float, float]], colour: Iterable[float], alpha: float = 1.0) -> None:
        """Fill a polygon with a color, RGB from 0 to 255."""
        corners = np.round(np.array(points) * self.unit * 16).astype(np.int32)
        cv2.fillPoly(self.image, [corners], self._ink(colour, alpha), shift=4)

    def ellipse(
        self,
        x: float,
        y: float,
        rx: float,
        ry: float,
        colour: Iterable[float],
        alpha: float = 1.0,
        thickness: float | None = None,
    ) -> None:
        """Fill an ellipse around (x, y), or draw its line when `thickness` is given."""
        centre, axes = ((round(v * self.unit * 16) for v in pair) for pair in ((x, y), (rx, ry)))
        line = -1 if thickness is None else max(round(thickness * self.unit), 1)
        cv2.ellipse(self.image, tuple(centre), tuple(axes), 0, 0, 360, self._ink(colour, alpha), line, shift=4)

    @staticmethod
    def _ink(colour: Iterable[float], alpha: float) -> tuple[float, ...]:
        return (*(float(part) for part in colour), float(alpha))

    def sprite(self, foot: tuple[float, float]) -> Sprite:
        """Return what was drawn, with its foot at a point in units."""
        image: np.ndarray = self.image
        image[..., :3] *= image[..., 3:]
        image = cv2.resize(image, self.size, interpolation=cv2.INTER_AREA)
        unit = self.unit / OVERSAMPLING
        return Sprite(image[..., :3].copy(), 1 - image[..., 3:], (foot[0] * unit, foot[1] * unit))
