# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Show dialogues over their frames on one web page: what is said, where silence is, and what is learned."""

from __future__ import annotations

import argparse
import base64
import math
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from videollm_ros.data.convert.request import RequestError
from videollm_ros.data.convert.tally import Tally
from videollm_ros.data.dialogues import Dialogue
from videollm_ros.data.page import Scene, render, turns_of
from videollm_ros.data.recorded import RecordedSource, RecordingError
from videollm_ros.data.statistics import readable_dialogues
from videollm_ros.data.whole_file import whole_file

_WIDTH = 192  # pixels of a thumbnail
_QUALITY = 70  # of its JPEG


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("dialogues", type=Path, help="JSON-lines file")
    parser.add_argument("--video", nargs="+", default=[], help="videos, folders of images, bags (BAG or BAG:/topic)")
    parser.add_argument("--output", type=Path, required=True, help="page to write, .html")
    parser.add_argument("--fps", type=float, default=2.0, help="frames per second of the features (default 2)")
    parser.add_argument("--only", nargs="+", help="ids of the recordings to show; all that --video names otherwise")
    parser.add_argument("--most", type=int, default=20, help="dialogues on the page (default 20)")
    parser.add_argument("--thumbnails", type=int, default=400, help="pictures of one dialogue (default 400)")


def run(given: argparse.Namespace) -> int:
    """Write the page; return 0, or 1 where there is no dialogue to show.

    Raises:
        RequestError: a file or a setting cannot be used.
    """
    if not given.dialogues.is_file():
        raise RequestError(f"{given.dialogues} is no file of dialogues.")
    if not (0 < given.fps < math.inf and given.most > 0 and given.thumbnails >= 0):
        raise RequestError("--fps and --most are numbers above 0, and --thumbnails is none below 0.")
    videos = {RecordedSource.parse(source).recording: source for source in given.video}
    wanted = set(given.only or videos)
    tally = Tally()
    found = (each for each in readable_dialogues(given.dialogues, tally) if not wanted or each.video in wanted)
    scenes = []
    for dialogue in tqdm(list(islice(found, given.most)), unit=" dialogues", disable=None):
        images = _images(dialogue, videos.get(dialogue.video, ""), given.fps, given.thumbnails, tally)
        turns = turns_of(dialogue, given.fps, images)
        scenes.append(Scene(dialogue, dialogue.num_frames / given.fps, turns))
    if not scenes:
        print(f"{given.dialogues} has no dialogue of {', '.join(sorted(wanted)) or 'any recording'}.")
        return 1
    with whole_file(given.output) as file:
        file.write(render(scenes, given.dialogues.name))
    print(f"{given.output}: {len(scenes)} dialogues. Open it in a browser.")
    return 0


def _images(dialogue: Dialogue, source: str, fps: float, most: int, tally: Tally) -> dict[int, str]:
    """Return thumbnails by frame, of all frames on which something is said and of the others as many as may be."""
    if not source or not most:
        return {}
    chosen = _chosen(dialogue, most)
    images: dict[int, str] = {}
    start, stop = dialogue.frames
    try:
        for frame, rgb in enumerate(RecordedSource.parse(source).frames(fps, start, stop), start=start):
            if frame in chosen:
                images[frame] = _thumbnail(rgb)
    except RecordingError as error:
        tally.tell("recordings that cannot be read", f"{error} Its pictures up to there are shown.")
    if images and len(images) < len(chosen):
        tally.tell("recordings shorter than their dialogue", f"{source}: it ends before frame {stop} of its dialogue.")
    return images


def _chosen(dialogue: Dialogue, most: int) -> set[int]:
    start, stop = dialogue.frames
    if dialogue.num_frames <= most:
        return set(range(start, stop))
    ends, frame = set(), start
    for message in dialogue.conversation:
        if message["role"] == "stream":
            frame += message["num_frames"]
            ends.add(frame - 1)
    evenly = np.linspace(start, stop - 1, max(most - len(ends), 0)).astype(int).tolist()
    return set(sorted(ends)[:most]) | set(evenly)


def _thumbnail(rgb: np.ndarray) -> str:
    """Return a picture as a data URI."""
    height, width = rgb.shape[:2]
    size = (_WIDTH, max(round(height * _WIDTH / width), 1))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}"
