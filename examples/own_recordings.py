# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Make recordings and notes as a team would bring them: new sentences, and an object that the demo model never saw.

    python examples/own_recordings.py --output own --count 40
    python examples/own_recordings.py --output held_out --count 30 --seed 31000

Each recording is a minute of the simulated tabletop in which stars take the place of one of the shapes. The folder gets
`recordings/<name>.mp4`, all notes in `notes.csv`, and the same notes in `notes/<name>.jsonl` for evaluation. The code
shows how a sprite of your own gets into the simulator. docs/own_assistant.md trains on the output.
"""

import argparse
import csv
import dataclasses
import json
import math
from collections import Counter
from functools import cached_property
from pathlib import Path

import numpy as np
from tqdm import tqdm

from videollm_ros.sim import Event, Item, Tabletop
from videollm_ros.sim.draw import Pen, Sprite
from videollm_ros.sim.render import Camera
from videollm_ros.sim.script import Actor, Script
from videollm_ros.sim.video import write_video
from videollm_ros.sim.world import COLOURS

STAR = "star"
SENTENCES = {
    "appear": "Delivered the {item}.",
    "remove": "Collected the {item}.",
    "move": "Shifted the {item}.",
    "pick": "Grasped the {item}.",
    "put": "Released the {item}.",
}
AS_WIDE_AS = "cube"  # which tells the simulator how wide the gripper opens and how wide the shadow is


class StarTabletop(Tabletop):
    """A tabletop with stars in place of the shape to which the most happens."""

    def __init__(self, seed: int, seconds: float, resolution: int) -> None:
        """Draw the stream, then replace the shape."""
        super().__init__(seed, seconds, resolution)
        shapes = Counter(event.item.shape for event in self.events)
        if shapes:
            put_stars(self._script, shapes.most_common(1)[0][0])

    @cached_property
    def _camera(self) -> Camera:
        return StarCamera(self._script, self.seed, self.resolution)


class StarCamera(Camera):
    """A camera that knows what a star looks like."""

    def _draw(self, part: str, actor: Actor) -> Sprite:
        if actor.item.shape != STAR:
            return super()._draw(part, actor)
        if part == "item":
            color = np.add(COLOURS[actor.item.colour], actor.tint)
            return star_sprite(color, actor.size * self.resolution)
        stand_in = dataclasses.replace(actor, item=Item(actor.item.colour, AS_WIDE_AS))
        return super()._draw(part, stand_in)


def star_sprite(rgb: np.ndarray, pixels: float) -> Sprite:
    """Draw a star with five points, `pixels` high, in a color, RGB from 0 to 255."""
    color = np.clip(rgb, 0, 255).astype(np.float32)
    pen = Pen(1.0, 1.0, pixels)
    pen.polygon(_star(0.52), color * 0.35)
    pen.polygon(_star(0.45), color)
    pen.ellipse(0.5, 0.55, 0.11, 0.11, (245, 245, 245))
    return pen.sprite((0.5, 1.0))


def _star(radius: float) -> list[tuple[float, float]]:
    """Return the corners of a star around (0.5, 0.55). Every second corner is an inner one."""
    angles = [math.pi * (index / 5 - 0.5) for index in range(10)]
    lengths = [radius if index % 2 == 0 else 0.45 * radius for index in range(10)]
    return [
        (0.5 + length * math.cos(angle), 0.55 + length * math.sin(angle))
        for angle, length in zip(angles, lengths, strict=True)
    ]


def put_stars(script: Script, shape: str) -> None:
    """Let every item of a shape be a star."""

    def star(item: Item) -> Item:
        return Item(item.colour, STAR) if item.shape == shape else item

    for actor in script.actors:
        actor.item = star(actor.item)
    script.events[:] = [dataclasses.replace(event, item=star(event.item)) for event in script.events]


def note(event: Event) -> dict[str, float | str]:
    """Return what a person would note about an event: seconds from the first image, and a sentence."""
    return {"time": round(event.time, 2), "text": SENTENCES[event.kind].format(item=event.item)}


def main() -> None:
    """Write the recordings and their notes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True, help="folder for recordings and notes")
    parser.add_argument("--count", type=int, default=40, help="how many recordings (default 40)")
    parser.add_argument("--seed", type=int, default=30000, help="of the first recording (default 30000)")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of each (default 60)")
    given = parser.parse_args()
    for folder in ("recordings", "notes"):
        (given.output / folder).mkdir(parents=True, exist_ok=True)
    count = 0
    with open(given.output / "notes.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, ["recording", "time", "text"])
        table.writeheader()
        for seed in tqdm(range(given.seed, given.seed + given.count), unit="recording"):
            tabletop, name = StarTabletop(seed, given.seconds, resolution=144), f"run{seed}"
            write_video(tabletop, given.output / "recordings" / f"{name}.mp4", fps=8.0)
            notes = [note(event) for event in tabletop.events]
            table.writerows({"recording": name, **each} for each in notes)
            count += len(notes)
            lines = "".join(json.dumps(each) + "\n" for each in notes)
            (given.output / "notes" / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    print(f"{given.output}: {given.count} recordings, and {count} notes in notes.csv")


if __name__ == "__main__":
    main()
