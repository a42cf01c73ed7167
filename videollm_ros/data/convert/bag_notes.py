# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Notes that were spoken or typed while recording: a std_msgs/String topic of a bag."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from videollm_ros.data.convert.tally import Tally
from videollm_ros.media.bags import NANOSECONDS, Bag, BagError


def read_notes(source: str, tally: Tally) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Yield the texts of `BAG:/notes` at seconds since the first image, or of `BAG:/notes:/camera` with several.

    A String carries no stamp: it takes that of the newest image before it.
    """
    name, *topics = source.split(":/")
    path = Path(name)
    try:
        with Bag(path) as bag:
            notes = bag.text_topic(topics[0])
            images = bag.image_topic(topics[1] if len(topics) > 1 else "")
            first = next(bag.images(images)).stamp
            for number, text in enumerate(bag.texts(notes, images), start=1):
                start = None if text.stamp is None else (text.stamp - first) / NANOSECONDS
                entry = {"recording": path.stem, "start": -1.0 if start is None else start, "text": text.text}
                yield (entry,), f"{path}: message {number} of {notes}"
    except BagError as error:
        tally.tell("bags that cannot be read", f"{error} The annotations before are used.")
