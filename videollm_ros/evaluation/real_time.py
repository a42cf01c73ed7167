# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Replay a recording against the clock through the node's own runtime, with its drops and its latency.

The result depends on how fast the machine is. That is what it is for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from videollm_ros.assistant import (
    AssistantSettings,
    AssistantStream,
    Frame,
    StreamListener,
    StreamSnapshot,
    UtteranceUpdate,
)
from videollm_ros.evaluation.annotations import AnnotatedQuery
from videollm_ros.evaluation.encoder import thumbnail
from videollm_ros.evaluation.recording import RecordedImage, Recording
from videollm_ros.evaluation.transcribe import RecordingError
from videollm_ros.evaluation.transcript import SILENT, SPEAKS, Decision, Said, Transcript
from videollm_ros.live import FrameDecision, LiveModel
from videollm_ros.media.bags import NANOSECONDS, to_seconds

_FINISHES_WITHIN = 60.0  # seconds for what waits at the end of the recording


class TranscriptListener(StreamListener):
    """Write down what a stream does, as a transcript."""

    def __init__(self, transcript: Transcript, clock: Callable[[], float]) -> None:
        """Write into `transcript`. The clock is the one that the images come by."""
        self.transcript, self._clock = transcript, clock
        self.began = 0.0
        """When the first image came, on the clock."""
        self.replies: list[tuple[float, float]] = []
        """Seconds of the recording from which to which the model was speaking."""
        self._stream, self._spoke = -1, 0.0

    def wants_pixels(self) -> bool:
        """Return True: the report shows the frames."""
        return True

    def on_stream_began(self, reason: str) -> None:
        """Note that the memory was cleared."""
        if self._stream >= 0:
            self.transcript.notes.append(f"A new stream began: {reason}")

    def on_frame(self, frame: Frame, decision: FrameDecision) -> None:
        """Note a decision."""
        image: RecordedImage = frame.tag
        self._stream = max(self._stream, 0)
        moment = self._time(image.stamp)
        kind = SPEAKS if decision.speaks else SILENT
        self.transcript.decisions.append(
            Decision(image.stamp, moment, frame.stream - 1, decision.speak_probability, decision.threshold, kind)
        )
        self._spoke = self._clock() - self.began
        if frame.pixels is not None:
            self.transcript.thumbnails[moment] = thumbnail(np.asarray(frame.pixels))

    def on_utterance(self, update: UtteranceUpdate) -> None:
        """Note an utterance and how late it came."""
        said = self._said(update)
        self.transcript.utterances.append(said)
        self.replies.append((self._spoke, said.time + (said.latency or 0.0)))

    def on_held_back(self, update: UtteranceUpdate) -> None:
        """Note what is not said aloud."""
        self.transcript.held_back.append(self._said(update))

    def on_image_refused(self, sentence: str) -> None:
        """Note an image that could not be read."""
        self.transcript.counts["refused"] += 1
        if self.transcript.counts["refused"] == 1:
            self.transcript.notes.append(f"Images were refused. The first: {sentence}")

    def on_failure(self, sentence: str) -> None:
        """Note a failure."""
        self.transcript.notes.append(sentence)

    def on_warning(self, sentence: str) -> None:
        """Note what is unusual."""
        self.transcript.notes.append(sentence)

    def _said(self, update: UtteranceUpdate) -> Said:
        image: RecordedImage | None = update.tag
        stamp = self.transcript.begin if image is None else image.stamp
        moment = self._time(stamp)
        query = None if update.query is None else update.query.text
        latency = self._clock() - self.began - moment
        return Said(stamp, moment, update.text, query, update.speak_probability, update.truncated, latency)

    def _time(self, stamp: int) -> float:
        return (stamp - self.transcript.begin) / NANOSECONDS


def transcribe_in_real_time(
    model: LiveModel,
    recording: Recording,
    settings: AssistantSettings | None = None,
    queries: Sequence[AnnotatedQuery] = (),
    clock: Callable[[], float] = time.monotonic,
) -> Transcript:
    """Let the model watch a recording at the pace at which it was recorded.

    Every image is shown when it was taken, and the runtime drops what it has no time for. `counts` of the transcript
    has the frames that were due and dropped, and those that came while the model was speaking.

    Args:
        model: the model.
        recording: what it watches.
        settings: those of the runtime.
        queries: what is asked when.
        clock: seconds on a clock that never goes back.

    Raises:
        BagError, VideoError: the recording cannot be read to its end.
        RecordingError: no image of it could be read.
        ValueError: the settings do not fit the model.
    """
    transcript = Transcript(recording.name)
    listener = TranscriptListener(transcript, clock)
    waiting = sorted([*recording.queries(), *queries], key=lambda query: query.time)
    with AssistantStream(model, settings, [listener], load_image=lambda image: image.decode(), clock=clock) as stream:
        for image in recording.images():
            if not transcript.counts["images"]:
                transcript.begin = transcript.end = image.stamp
                transcript.frame_id, listener.began = image.frame_id, clock()
            transcript.counts["images"] += 1
            transcript.end = max(transcript.end, image.stamp)
            moment = (image.stamp - transcript.begin) / NANOSECONDS
            while waiting and waiting[0].time <= moment:
                _sleep_until(listener.began + waiting[0].time, clock)
                stream.ask(waiting.pop(0).text)
            _sleep_until(listener.began + moment, clock)
            stream.offer(image, to_seconds(image.stamp), image)
        stream.wait_until_idle(_FINISHES_WITHIN)
        snapshot = stream.snapshot()
    if not transcript.decisions:
        raise RecordingError(f"{recording.name} gives no frame to watch. {' '.join(transcript.notes)}")
    _count_frames(transcript, snapshot, listener.replies)
    return transcript


def _count_frames(transcript: Transcript, snapshot: StreamSnapshot, replies: Sequence[tuple[float, float]]) -> None:
    """Count the frames that were dropped and those that were seen while the model spoke."""
    counts, seen = transcript.counts, [each.time for each in transcript.decisions]
    transcript.latency = snapshot.latency
    counts["frames due"], counts["frames dropped"] = snapshot.frames_due, snapshot.frames_dropped
    counts["frames seen while speaking"] = sum(any(begin < time <= end for begin, end in replies) for time in seen)
    longest = max((later - earlier for earlier, later in pairwise(seen)), default=0.0)
    counts["longest gap between frames in ms"] = round(1000 * longest)


def _sleep_until(moment: float, clock: Callable[[], float]) -> None:
    while (left := moment - clock()) > 0:
        time.sleep(min(left, 0.02))
