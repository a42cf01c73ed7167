# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write down what a stream of the node's runtime does, as a transcript."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from videollm_ros.assistant import Frame, StreamListener, UtteranceUpdate
from videollm_ros.evaluation.annotations import AnnotatedQuery
from videollm_ros.evaluation.encoder import thumbnail
from videollm_ros.evaluation.recording import RecordedImage
from videollm_ros.evaluation.transcript import ANSWERS, SILENT, SPEAKS, Decision, Said
from videollm_ros.evaluation.watched_time import WatchedTime
from videollm_ros.live import FrameDecision
from videollm_ros.media.bags import to_seconds


@dataclass(frozen=True)
class ShownImage:
    """Hold an image and when it was shown. It travels with the frame."""

    image: RecordedImage
    at: float
    """Seconds on the clock of the replay."""


class TranscriptListener(StreamListener):
    """Write down what a stream does.

    Args:
        watched: has the transcript and its clock.
        clock: seconds on the clock by which the images are shown.
    """

    def __init__(self, watched: WatchedTime, clock: Callable[[], float]) -> None:
        self.watched, self.transcript, self._clock = watched, watched.transcript, clock
        self.shown: list[float] = []
        """When the image of each decision was shown, on the clock."""
        self.replies: list[tuple[float, float]] = []
        """From when to when the model was speaking, on the clock."""
        self._asked_at: list[float] = []  # of every query, on the clock
        self._stream, self._decided_at = -1, clock()

    def note_query(self, query: AnnotatedQuery) -> str:
        """Write down a query just before it is asked. Returns the id to ask it by."""
        self.transcript.queries.append(query)
        self._asked_at.append(self._clock())
        return str(len(self._asked_at) - 1)

    def wants_pixels(self) -> bool:
        """Return True: the report shows the frames."""
        return True

    def on_stream_began(self, reason: str) -> None:
        """Note that the memory was cleared."""
        if self._stream >= 0:
            self.transcript.notes.append(f"A new stream began: {reason}")

    def on_frame(self, frame: Frame, decision: FrameDecision) -> None:
        """Note a decision."""
        shown: ShownImage = frame.tag
        image, self._stream = shown.image, max(self._stream, 0)
        moment, kind = self.watched.time_of(image.stamp), SPEAKS if decision.speaks else SILENT
        probability, threshold, stream = decision.speak_probability, decision.threshold, frame.stream - 1
        self.transcript.decisions.append(
            Decision(image.stamp, moment, stream, probability, threshold, kind, image.recorded)
        )
        self.shown.append(shown.at)
        self._decided_at = self._clock()
        if frame.pixels is not None:
            self.transcript.thumbnails[stream, moment] = thumbnail(np.asarray(frame.pixels))

    def on_utterance(self, update: UtteranceUpdate) -> None:
        """Note an utterance and how late it came."""
        self.transcript.utterances.append(self._said(update))
        self.replies.append((self._decided_at, self._clock()))
        decisions, query = self.transcript.decisions, update.query
        if query is None or not decisions or decisions[-1].decision != SILENT:
            return
        # A query that comes later than the frame leaves the frame its own decision.
        asked_at = self._asked_at[int(query.query_id)]
        if asked_at <= self._decided_at and query.stamp <= to_seconds(decisions[-1].stamp):
            decisions[-1] = replace(decisions[-1], decision=ANSWERS)

    def on_held_back(self, update: UtteranceUpdate) -> None:
        """Note what is not said aloud."""
        self.transcript.held_back.append(self._said(update))

    def on_image_refused(self, sentence: str) -> None:
        """Note an image that could not be read."""
        self.watched.refuse(sentence)

    def on_failure(self, sentence: str) -> None:
        """Note a failure."""
        self.transcript.notes.append(sentence)

    def on_warning(self, sentence: str) -> None:
        """Note what is unusual."""
        self.transcript.notes.append(sentence)

    def _said(self, update: UtteranceUpdate) -> Said:
        shown: ShownImage | None = update.tag
        stamp = self.transcript.begin if shown is None else shown.image.stamp
        query = update.query
        return Said(
            stamp,
            self.watched.time_of(stamp),
            update.text,
            None if query is None else query.text,
            update.speak_probability,
            update.truncated,
            latency=None if shown is None else self._clock() - shown.at,
            asked=None if query is None else self.transcript.queries[int(query.query_id)].time,
            recorded=None if shown is None else shown.image.recorded,
        )
