# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A script as the camera sees it: uint8 RGB pictures, each a function of the seed and the time alone."""

from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from videollm_ros.sim.draw import Sprite
from videollm_ros.sim.items import WIDTHS, item_sprite
from videollm_ros.sim.scenery import OPEN_WIDTH, background, gripper_sprite, shadow_sprite
from videollm_ros.sim.script import TABLE_Y, Actor, Script
from videollm_ros.sim.world import COLOURS

NOISE_PICTURES = 32
NOISE_SIGMA = 24.0  # of the stored noise, grey levels
SPRITES_KEPT = 32


@lru_cache(maxsize=4)
def _noise(resolution: int) -> np.ndarray:
    """Noise around 128, [n, R, R, 3] uint8, shared by all streams."""
    rng = np.random.default_rng(resolution)
    shape = (resolution, resolution, 3)
    pictures = (np.clip(rng.normal(128, NOISE_SIGMA, shape), 0, 255) for _ in range(NOISE_PICTURES))
    return np.stack([picture.astype(np.uint8) for picture in pictures])


class Camera:
    """Looks at one script. Its pose, shake, light, noise and background differ from stream to stream."""

    def __init__(self, script: Script, seed: int, resolution: int):
        rng = np.random.default_rng((seed, 2))
        self.script, self.resolution = script, resolution
        self._background = background(rng, resolution)
        self._enters = np.array([actor.enters for actor in script.actors])
        self._leaves = np.array([actor.leaves for actor in script.actors])
        self._sprites: dict[tuple[str, int], Sprite] = {}
        self._composed: tuple[Any, np.ndarray] | None = None
        self._zoom, self._tilt = rng.uniform(0.98, 1.03), rng.uniform(-1.2, 1.2)
        self._shift = rng.uniform(-0.01, 0.01, 2)
        self._shake = rng.uniform(0.0, 0.006) * rng.uniform(0.5, 1.0, 4)
        self._rhythm, self._phase = rng.uniform(0.4, 5.0, 6), rng.uniform(0, 2 * np.pi, 6)
        self._gain, self._flicker = rng.uniform(0.82, 1.12), rng.uniform(0.0, 0.06, 2)
        warmth = rng.uniform(-0.05, 0.05)
        self._tone = np.array((1 + warmth, 1.0, 1 - warmth), np.float32)
        self._noise_share = rng.uniform(1.5, 7.0) / NOISE_SIGMA
        self._noise_order = int(rng.integers(1 << 30))

    def picture(self, time: float) -> np.ndarray:
        """The frame at `time` [s], [R, R, 3] uint8 RGB."""
        wave = np.sin(self._rhythm * time + self._phase)
        scene = self._compose(time)
        x = self._shift[0] + self._shake[0] * wave[0] + self._shake[1] * wave[1]
        y = self._shift[1] + self._shake[2] * wave[2] + self._shake[3] * wave[3]
        side = self.resolution
        pose = cv2.getRotationMatrix2D((side / 2, side / 2), self._tilt, self._zoom)
        pose[:, 2] += (x * side, y * side)
        seen = cv2.warpAffine(scene, pose, (side, side), borderMode=cv2.BORDER_REPLICATE)
        gain = self._gain * (1 + self._flicker[0] * wave[4] + self._flicker[1] * wave[5])
        noise = _noise(side)[(self._noise_order + round(time * 1000) * 7919) % NOISE_PICTURES]
        return np.asarray(cv2.addWeighted(seen, gain, noise, self._noise_share, -128 * self._noise_share))

    def _compose(self, time: float) -> np.ndarray:
        """The scene before pose, light and noise; kept as long as nothing moves."""
        grip = self.script.grip(time)
        hand = self.script.gripper.at(time) if grip else None
        seen = [self.script.actors[i] for i in np.flatnonzero((self._enters <= time) & (time < self._leaves))]
        placed = [(actor, actor.track.at(time)) for actor in seen]
        closed = grip is not None and grip.closes <= time < grip.opens
        key = (tuple((id(actor), spot) for actor, spot in placed), hand, closed)
        if self._composed and self._composed[0] == key:
            return self._composed[1]
        image, side = self._background.copy(), self.resolution
        for actor, (x, y) in placed:
            if y > TABLE_Y - 0.04:
                self._sprite("shadow", actor).paste(image, x * side, y * side)
        for actor, (x, y) in placed:
            self._sprite("item", actor).paste(image, x * side, y * side)
        if grip and hand:
            self._sprite("closed" if closed else "open", grip.actor).paste(image, hand[0] * side, hand[1] * side)
        image = np.clip(image * self._tone, 0, 255).astype(np.uint8)
        self._composed = (key, image)
        return image

    def _sprite(self, part: str, actor: Actor) -> Sprite:
        """The picture of an item, of its shadow, or of the gripper open or closed around it; a few are kept."""
        key = (part, id(actor))
        if key not in self._sprites:
            if len(self._sprites) >= SPRITES_KEPT:
                self._sprites.pop(next(iter(self._sprites)))
            self._sprites[key] = self._draw(part, actor)
        return self._sprites[key]

    def _draw(self, part: str, actor: Actor) -> Sprite:
        width, pixels = WIDTHS[actor.item.shape], actor.size * self.resolution
        if part == "open":
            return gripper_sprite(OPEN_WIDTH, actor.size, self.resolution)
        if part == "closed":
            return gripper_sprite(actor.size * width, actor.size, self.resolution)
        if part == "shadow":
            return shadow_sprite(width, pixels)
        return item_sprite(actor.item.shape, np.add(COLOURS[actor.item.colour], actor.tint), pixels)
