# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A simulated stream: its frames, what happens in them, and what may be asked about them."""

import math
from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np

from videollm_ros.sim.questions import Question, quiet_seconds, write_question, write_questions
from videollm_ros.sim.render import Camera
from videollm_ros.sim.script import write_script
from videollm_ros.sim.world import Event, State

MIN_RESOLUTION = 32
"""Pixels; below, items are unrecognisable."""


class Tabletop:
    """A tabletop seen by a camera for `seconds` [s], the same for the same `seed` and `seconds`.

    Frames are uint8 RGB [R, R, 3] with R = `resolution`; the frame at a time is the same at every rate.

    Raises:
        ValueError: `seconds` is not positive or `resolution` is below `MIN_RESOLUTION`.
    """

    def __init__(self, seed: int, seconds: float = 60.0, resolution: int = 96):
        if not seconds > 0:
            raise ValueError(f"a stream of {seconds} s was asked for: it must last longer than 0 s.")
        if resolution < MIN_RESOLUTION:
            raise ValueError(
                f"frames of {resolution} pixels were asked for: items are unrecognisable below {MIN_RESOLUTION}."
            )
        self.seed, self.seconds, self.resolution = seed, float(seconds), resolution
        self._script = write_script(seed, self.seconds)

    @property
    def events(self) -> list[Event]:
        """What happens, in order of time."""
        return self._script.events

    @cached_property
    def questions(self) -> list[Question]:
        """Questions at whole seconds in which nothing happens, in order of time."""
        return write_questions(self._script, self.seed)

    @property
    def quiet_seconds(self) -> list[float]:
        """The whole seconds around which nothing happens, at which questions may be asked."""
        return quiet_seconds(self._script)

    def ask(self, rng: np.random.Generator, time: float, full: bool = False, kinds: Sequence[str] = ()) -> Question:
        """Another question that a user might ask at `time` [s], see `questions.write_question`."""
        return write_question(rng, self._script, time, full, kinds)

    def state(self, time: float) -> State:
        """What is to be seen at `time` [s], by the events decided until then."""
        return self._script.state(time)

    def num_frames(self, fps: float) -> int:
        """Frames of the whole stream at `fps` [Hz]: frame i is at i / fps, before the end."""
        return math.ceil(round(self.seconds * fps, 6))

    def render(self, time: float) -> np.ndarray:
        """The frame at `time` [s]: [R, R, 3] uint8 RGB."""
        return self._camera.picture(time)

    def frames(self, fps: float = 2.0, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Frames `start` to `stop` (not included) at `fps` [Hz]: [T, R, R, 3] uint8 RGB."""
        stop = self.num_frames(fps) if stop is None else stop
        return self.frames_at(i / fps for i in range(start, stop))

    def frames_at(self, times: Iterable[float]) -> np.ndarray:
        """The frames at `times` [s]: [T, R, R, 3] uint8 RGB."""
        pictures = [self.render(time) for time in times]
        side = self.resolution
        return np.stack(pictures) if pictures else np.empty((0, side, side, 3), np.uint8)

    @cached_property
    def _camera(self) -> Camera:
        return Camera(self._script, self.seed, self.resolution)
