# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A simulated stream as files: a video for players and people, and what happens in it as JSON."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from videollm_ros.sim.tabletop import Tabletop


def write_video(tabletop: Tabletop, path: Path, fps: float) -> None:
    """Write the whole stream as H.264 to `path` (.mp4, .mkv, ...) at `fps` [Hz].

    Raises:
        ValueError: the resolution is odd, which H.264 with 4:2:0 colour cannot store.
    """
    side = tabletop.resolution
    if side % 2:
        raise ValueError(f"a video of {side} x {side} pixels was asked for: the side must be even.")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        stream.width, stream.height, stream.pix_fmt = side, side, "yuv420p"
        stream.options = {"crf": "26"}
        for index in range(tabletop.num_frames(fps)):
            picture = av.VideoFrame.from_ndarray(tabletop.render(index / fps), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def annotations(tabletop: Tabletop) -> dict[str, Any]:
    """Events and questions of the stream, times in seconds, ready for JSON."""
    return {
        "seed": tabletop.seed,
        "seconds": tabletop.seconds,
        "events": [
            {
                "onset": event.onset,
                "time": event.time,
                "kind": event.kind,
                "colour": event.item.colour,
                "shape": event.item.shape,
                "text": event.text,
            }
            for event in tabletop.events
        ],
        "questions": [
            {"time": question.time, "kind": question.kind, "text": question.text, "answer": question.answer}
            for question in tabletop.questions
        ],
    }


def write_annotations(tabletop: Tabletop, path: Path) -> None:
    """Write `annotations` to `path` as JSON."""
    path.write_text(json.dumps(annotations(tabletop), indent=2) + "\n", encoding="utf-8")
