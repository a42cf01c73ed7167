# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run benchmarks whose items are dialogues that end with a reply: public annotations, converted as for training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from videollm_ros.data.convert.request import Request
from videollm_ros.data.convert.sources import dialogues
from videollm_ros.data.convert.store import Store
from videollm_ros.data.convert.tally import Tally
from videollm_ros.data.dialogues import Dialogue
from videollm_ros.evaluation.benchmarks.benchmark import Item, Record
from videollm_ros.evaluation.benchmarks.footage import Footage
from videollm_ros.evaluation.replies import decode_replies
from videollm_ros.evaluation.transcript import Said, Transcript
from videollm_ros.live import LiveModel
from videollm_ros.media.bags import NANOSECONDS
from videollm_ros.media.video import VideoError

_MAX_NEW_TOKENS = 512  # of a reply, as in the public evaluation


class ConvertedBenchmark:
    """Convert annotations to dialogues over the videos that are there, and let the model write their last replies.

    Args:
        annotations: the public file, or the folder that holds it.
        footage: the frames.
        fps: frames per second.
        window: the model sees the last so many frames alone. 0: all.
    """

    num_beams = 1
    """How many replies to an item are decoded."""

    def __init__(self, annotations: Path, footage: Footage, fps: float, window: int = 0) -> None:
        self._annotations, self.footage, self._fps, self._window = annotations, footage, fps, window
        self._tally = _EachOnce()
        self.unknown: dict[str, str] = {}
        """Video that cannot be read -> why, as a sentence."""

    def request(self, source: str, split: str) -> Request:
        """Return what the converter of a source is asked for."""
        return Request(source, [str(self._annotations)], self._fps, split, store=_Durations(self), tally=self._tally)

    def lines(self, source: str, split: str) -> list[dict[str, Any]]:
        """Return the dialogues of a source as lines of a file.

        Raises:
            RequestError: an annotation file is not there.
        """
        return list(dialogues(self.request(source, split)))

    def missing_items(self) -> list[Item]:
        """Return one item for each video that is not there, which stands for all of its items."""
        return [Item(video, video, None) for video in self.unknown]

    def missing(self, item: Item) -> str:
        """Return as a sentence that a video is not there."""
        return self.unknown.get(item.video, "")

    def fingerprint(self, item: Item) -> str:
        """Return what changes when the footage changes."""
        return self.footage.fingerprint(item.video)

    def silent(self, item: Item) -> Record | None:
        """Return an empty reply. None of an item that stands for a video which is not there."""
        return None if item.content is None else Record(Transcript(item.id), {"replies": [""]})

    def run(self, model: LiveModel, item: Item) -> Record:
        """Decode what the model replies at the end of an item's dialogue."""
        return reply_to(model, item, self.footage, self.num_beams, self._window)


class _EachOnce(Tally):
    """Tell each sentence once: the annotations are read again for every task."""

    def __init__(self) -> None:
        super().__init__()
        self._told: set[str] = set()

    def tell(self, kind: str, sentence: str, number: int = 1) -> None:
        """Count and write a sentence that was not told before."""
        if sentence not in self._told:
            self._told.add(sentence)
            super().tell(kind, sentence, number)


class _Durations(Store):
    """Measure a recording when its duration is asked for."""

    def __init__(self, converted: ConvertedBenchmark) -> None:
        super().__init__()
        self._converted = converted

    def duration(self, recording: str) -> float | None:
        """Return the seconds of a recording. None where it is not there."""
        footage, unknown = self._converted.footage, self._converted.unknown
        if recording not in unknown and (reason := footage.missing(recording)):
            unknown[recording] = reason
        if recording in unknown:
            return None
        try:
            return footage.seconds(recording)
        except (ValueError, VideoError) as error:
            unknown[recording] = str(error)
            return None


def reply_to(model: LiveModel, item: Item, footage: Footage, beams: int = 1, window: int = 0) -> Record:
    """Decode what the model replies at the end of an item's dialogue. The transcript holds the likeliest reply.

    Args:
        model: the model.
        item: its content is a line of a dialogue file with a query, frames and a reply.
        footage: the frames.
        beams: how many replies.
        window: the model sees the last so many frames alone. 0: all.

    Raises:
        ValueError: the frames cannot be read, or are too many.
    """
    line = item.content
    start, stop = line["frames"]
    start = max(start, stop - window) if window else start
    question = [message for message in line["conversation"] if message["role"] == "user"]
    question.append({"role": "stream", "num_frames": stop - start})
    dialogue = Dialogue(line["video"], (start, stop), question, item.id)
    features = footage.features(dialogue)
    replies = decode_replies(model, question, features, _MAX_NEW_TOKENS, beams)
    begin, last = (frame / model.config.frame_fps for frame in (dialogue.frames[0], dialogue.frames[1] - 1))
    transcript = Transcript(item.id, round(begin * NANOSECONDS), round(last * NANOSECONDS))
    said = Said(transcript.end, last - begin, replies[0], question[0]["content"])
    transcript.utterances.append(said)
    return Record(transcript, {"replies": replies, "frames": dialogue.num_frames})


def right_reply(item: Item) -> str:
    """Return the reply that the annotations hold."""
    return str(item.content["conversation"][-1]["content"])
