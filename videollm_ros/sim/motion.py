# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where a thing is at a time: a track of motions between points of the frame."""

from bisect import bisect_right
from dataclasses import dataclass, field

Point = tuple[float, float]


@dataclass(frozen=True)
class Motion:
    """A straight motion that ends at `stop` [s] in `target`.

    It accelerates all the way unless `smooth`: the fastest moment is the last, so that hardly any time of the
    world looks nearly but not quite finished.
    """

    start: float
    stop: float
    origin: Point
    target: Point
    smooth: bool = False

    def at(self, time: float) -> Point:
        """Return the position at `time` [s]."""
        part = min(max((time - self.start) / (self.stop - self.start), 0.0), 1.0)
        part = part * part * (3 - 2 * part) if self.smooth else part * part
        (x, y), (to_x, to_y) = self.origin, self.target
        return x + (to_x - x) * part, y + (to_y - y) * part


@dataclass
class Track:
    """The motions of one thing in order; `initial` is where it stands before the first, if it is seen then."""

    initial: Point | None = None
    motions: list[Motion] = field(default_factory=list)

    def add(self, start: float, stop: float, origin: Point, target: Point, smooth: bool = False) -> None:
        """Add a motion after those that there are."""
        self.motions.append(Motion(start, stop, origin, target, smooth))

    def at(self, time: float) -> Point:
        """Return the position at `time` [s].

        Raises:
            ValueError: The thing is not visible yet at that time.
        """
        index = bisect_right(self.motions, time, key=lambda motion: motion.start) - 1
        if index >= 0:
            return self.motions[index].at(time)
        if self.initial is None:
            raise ValueError(f"the track has no position at {time} s: its first motion starts later")
        return self.initial
