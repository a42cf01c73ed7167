# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Export streams of the simulator in ProactiveVideoQA's format, to be scored by the simulator's own parser."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tqdm import tqdm

from videollm_ros.data.whole_file import whole_file
from videollm_ros.sim import Tabletop
from videollm_ros.sim.video import write_video

REPLY_SECONDS = 2.0
"""So long after an event a reply counts."""

_REQUEST = "Tell me what happens."
_VIDEO_FPS = 10.0


def export_simulator(folder: Path, seeds: Iterable[int], seconds: float, resolution: int = 96) -> Path:
    """Write one video per seed, and `anno.json`.

    Args:
        folder: for anno.json and the folder videos. It need not exist.
        seeds: of the streams.
        seconds: length of each stream.
        resolution: side of the videos in pixels, even.

    Returns:
        the annotation file.

    Raises:
        ValueError: the resolution is odd or too small, or the length is not above 0.
        OSError: the folder cannot be written to.
    """
    videos = folder / "videos"
    videos.mkdir(parents=True, exist_ok=True)
    entries = []
    for seed in tqdm(list(seeds), desc="export", unit="stream", disable=None):
        tabletop = Tabletop(seed, seconds, resolution)
        write_video(tabletop, videos / f"tabletop-{seed}.mp4", _VIDEO_FPS)
        entries.append(_entry(tabletop))
    with whole_file(folder / "anno.json") as file:
        json.dump(entries, file, indent=1)
    return folder / "anno.json"


def _entry(tabletop: Tabletop) -> dict[str, Any]:
    return {
        "video": f"tabletop-{tabletop.seed}.mp4",
        "question_id": f"tabletop-{tabletop.seed}",
        "duration": tabletop.seconds,
        "conversation": [{"role": "user", "content": _REQUEST, "time": 0}],
        "answer": [
            {
                "role": "assistant",
                "content": event.text,
                "type": event.kind,
                "related_timespan": [event.onset, event.time],
                "reply_timespan": [event.time, event.time + REPLY_SECONDS],
            }
            for event in tabletop.events
        ],
    }
