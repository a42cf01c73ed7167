# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A contact sheet of simulated streams: one stream a row, each frame with what is said after it."""

import textwrap
from pathlib import Path

import cv2
import numpy as np

from videollm_ros.sim.dialogue import Reply, replies
from videollm_ros.sim.tabletop import Tabletop

FPS = 2.0
TILE, CAPTION, MARGIN = 192, 78, 6  # pixels
COLUMNS, ANSWERS = 8, 2  # of a row
FONT, SCALE, LINE = cv2.FONT_HERSHEY_SIMPLEX, 0.36, 14
INK, PALE = (20, 20, 20), (130, 130, 130)


def contact_sheet(seeds: list[int], seconds: float = 60.0, resolution: int = 96) -> np.ndarray:
    """The sheet, [H, W, 3] uint8 RGB: frames of `resolution` pixels, enlarged without smoothing."""
    return np.concatenate([_row(Tabletop(seed, seconds, resolution)) for seed in seeds])


def write_sheet(path: Path, seeds: list[int], seconds: float = 60.0, resolution: int = 96) -> None:
    """Write `contact_sheet` to `path` as a picture.

    Raises:
        ValueError: the folder does not exist or the name's ending is none of a picture format.
    """
    try:
        written = cv2.imwrite(str(path), contact_sheet(seeds, seconds, resolution)[..., ::-1])
    except cv2.error:
        written = False
    if not written:
        raise ValueError(f"no picture could be written to {path}: it needs an existing folder and a name like a.png.")


def _row(tabletop: Tabletop) -> np.ndarray:
    """The first replies, each at the frame it follows, with the motion that leads to it; few of the answers."""
    tiles: list[np.ndarray] = []
    said = replies(tabletop, FPS)
    answers = [reply for reply in said if reply.question][:ANSWERS]
    for reply in said:
        if reply.question and reply not in answers:
            continue
        if reply.event and reply.event.onset < (reply.frame - 1) / FPS:
            tiles.append(_tile(tabletop, reply.frame - 1))
        tiles.append(_tile(tabletop, reply.frame, reply))
    blank = np.full((TILE + CAPTION + MARGIN, TILE + MARGIN, 3), 255, np.uint8)
    return np.concatenate((tiles + [blank] * COLUMNS)[:COLUMNS], axis=1)


def _tile(tabletop: Tabletop, frame: int, reply: Reply | None = None) -> np.ndarray:
    tile = np.full((TILE + CAPTION + MARGIN, TILE + MARGIN, 3), 255, np.uint8)
    picture = cv2.resize(tabletop.render(frame / FPS), (TILE, TILE), interpolation=cv2.INTER_NEAREST)
    tile[:TILE, :TILE] = picture
    lines = [(f"{frame / FPS:.1f} s" + ("" if reply else "   silence"), PALE)]
    if reply and reply.question:
        lines += [(line, PALE) for line in textwrap.wrap(reply.question.text, 29)]
    lines += [(line, INK) for line in textwrap.wrap(reply.text, 29)] if reply else []
    for number, (line, colour) in enumerate(lines[:5], start=1):
        cv2.putText(tile, line, (2, TILE + number * LINE), FONT, SCALE, colour, 1, cv2.LINE_AA)
    return tile
