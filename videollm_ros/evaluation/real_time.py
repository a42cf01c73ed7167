# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Replay a recording against the clock through the node's own runtime, with its drops and its latency.

The result depends on how fast the machine is. That is what it is for.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

from videollm_ros.assistant import AssistantSettings, AssistantStream, StreamSnapshot
from videollm_ros.assistant.queries import PendingQuery, QueryError
from videollm_ros.assistant.scheduler import CONFIRM_SECONDS
from videollm_ros.evaluation.annotations import AnnotatedQuery
from videollm_ros.evaluation.encoder import not_asked, recorded_queries
from videollm_ros.evaluation.recording import RecordedImage, Recording
from videollm_ros.evaluation.transcribe import RecordingError
from videollm_ros.evaluation.transcript import Transcript
from videollm_ros.evaluation.transcript_listener import ShownImage, TranscriptListener
from videollm_ros.evaluation.watched_time import WatchedTime
from videollm_ros.live import LiveModel
from videollm_ros.media.bags import NANOSECONDS, to_seconds

_FINISHES_WITHIN = 60.0  # seconds for what waits at the end of the recording


def transcribe_in_real_time(
    model: LiveModel,
    recording: Recording,
    settings: AssistantSettings | None = None,
    queries: Sequence[AnnotatedQuery] = (),
    clock: Callable[[], float] = time.monotonic,
) -> Transcript:
    """Let the model watch a recording at the pace at which it was recorded.

    Every image is shown when it was recorded, whatever its stamp, and the runtime drops what it has no time for. A
    pause longer than the gap that begins a new stream is shortened to that gap. `counts` of the transcript has the
    frames that were due and dropped, and those that came while the model was speaking.

    Args:
        model: the model.
        recording: what it watches.
        settings: those of the runtime.
        queries: what is asked when, see `transcribe`.
        clock: seconds on a clock that never goes back.

    Raises:
        BagError, VideoError: the recording cannot be read to its end.
        RecordingError: no image of it could be read.
        ValueError: the settings do not fit the model.
    """
    settings = settings or AssistantSettings()
    transcript = Transcript(recording.name)
    watched = WatchedTime(transcript, settings.stream.fps or model.config.frame_fps, settings.stream.max_gap)
    listener = TranscriptListener(watched, clock)
    with AssistantStream(model, settings, [listener], load_image=lambda image: image.decode(), clock=clock) as stream:
        show = _Show(stream, listener, [*recording.queries(), *queries], settings.stream.max_gap, clock)
        show.run(recording)
        snapshot = stream.snapshot()
    show.finish()
    watched.finish(model.config)
    if not transcript.decisions:
        raise RecordingError(f"{recording.name} gives no frame to watch. {' '.join(transcript.notes)}")
    _count_frames(transcript, snapshot, listener)
    return transcript


class _Show:
    """Show images at the pace of their recording, and ask between them.

    Args:
        stream: the runtime.
        listener: is told what is shown and asked.
        queries: what is asked.
        longest: seconds to which longer pauses of the recording are shortened.
        clock: seconds on a clock that never goes back.
    """

    def __init__(
        self,
        stream: AssistantStream,
        listener: TranscriptListener,
        queries: Sequence[AnnotatedQuery],
        longest: float,
        clock: Callable[[], float],
    ) -> None:
        self._stream, self._listener, self._longest, self._clock = stream, listener, longest, clock
        self._watched, self._transcript = listener.watched, listener.watched.transcript
        self._recorded = deque(recorded_queries(queries))
        self._timed = deque(sorted((each for each in queries if each.recorded is None), key=lambda each: each.time))
        self._pending: list[PendingQuery] = []
        self._failures: list[str] = []  # why queries have no answer
        self._pauses: list[float] = []  # seconds of those that were shortened

    def run(self, recording: Recording) -> None:
        """Show the whole recording, ask everything that does not lie behind its end, and wait for what is left to do.

        Raises:
            BagError, VideoError: the recording cannot be read to its end.
        """
        before: RecordedImage | None = None
        at = held_at = self._clock()
        for image in self._watched.images(recording.images()):
            if before is None:
                at = self._clock()
            else:
                at += self._step(before, image)
                self._ask_recorded(image.recorded, at)
            if self._watched.held is not None and at - held_at >= CONFIRM_SECONDS:
                self._watched.confirm()  # as the runtime does meanwhile
            self._watched.take(image)
            if before is not None and self._watched.newest is image:
                self._ask_timed(image, at, itself=False)
            _sleep_until(at, self._clock)
            held_at = self._clock()
            self._stream.offer(image, to_seconds(image.stamp), ShownImage(image, held_at))
            if before is None:
                self._ask_recorded(image.recorded, at)
            if self._watched.newest is image:
                self._ask_timed(image, at, itself=True)
            before = image
        self._watched.confirm()
        if before is not None and self._recorded:
            latest = self._recorded[-1].recorded or 0
            self._ask_recorded(latest + 1, at + min((latest - before.recorded) / NANOSECONDS, self._longest))
        if not self._stream.wait_until_idle(_FINISHES_WITHIN):
            unread = f"What was not read {_FINISHES_WITHIN:g} s after the last image was left unread."
            self._transcript.notes.append(unread)

    def finish(self) -> None:
        """Note what was not asked, not answered, and not shown as it was recorded."""
        notes = self._transcript.notes
        if self._timed:
            notes.append(not_asked(len(self._timed)))
            self._transcript.queries.extend(self._timed)
        errors = [query.answer.exception() for query in self._pending if query.answer.done()]
        failures = [*self._failures, *(str(error) for error in errors if error is not None)]
        if failures:
            notes.append(f"Queries without an answer: {len(failures)}. The first: {failures[0]}")
        if self._pauses:
            notes.append(
                f"Pauses of the recording that were shortened to {self._longest:g} s: {len(self._pauses)}. "
                f"The longest lasted {max(self._pauses):.1f} s."
            )

    def _step(self, before: RecordedImage, image: RecordedImage) -> float:
        """Return the seconds between two images."""
        step = max(0.0, (image.recorded - before.recorded) / NANOSECONDS)
        if step > self._longest:
            self._pauses.append(step)
        return min(step, self._longest)

    def _ask_recorded(self, until: int, at: float) -> None:
        """Ask what was recorded before a time in nanoseconds, which is `at` on the clock."""
        while self._recorded and (recorded := self._recorded[0].recorded or 0) < until:
            _sleep_until(at - (until - recorded) / NANOSECONDS, self._clock)
            newest = self._watched.newest
            moment = 0.0 if newest is None else self._watched.time_of(newest.stamp)
            self._ask(replace(self._recorded.popleft(), time=moment))

    def _ask_timed(self, image: RecordedImage, at: float, itself: bool) -> None:
        """Ask what is due before the stamp of an image that is shown `at`, or at it as well."""
        moment = self._watched.time_of(image.stamp)
        while self._timed and (self._timed[0].time < moment or (itself and self._timed[0].time == moment)):
            _sleep_until(at - (moment - self._timed[0].time), self._clock)
            self._ask(self._timed.popleft())

    def _ask(self, query: AnnotatedQuery) -> None:
        try:
            self._pending.append(self._stream.ask(query.text, self._listener.note_query(query)))
        except QueryError as error:
            self._failures.append(str(error))


def _count_frames(transcript: Transcript, snapshot: StreamSnapshot, listener: TranscriptListener) -> None:
    """Count the frames that were dropped and those that were seen while the model spoke."""
    counts, shown, replies = transcript.counts, listener.shown, listener.replies
    transcript.latency = snapshot.latency
    counts["frames due"], counts["frames dropped"] = snapshot.frames_due, snapshot.frames_dropped
    counts["frames seen while speaking"] = sum(any(begin < at <= end for begin, end in replies) for at in shown)
    longest = max((later - earlier for earlier, later in pairwise(shown)), default=0.0)
    counts["longest gap between frames in ms"] = round(1000 * longest)


def _sleep_until(moment: float, clock: Callable[[], float]) -> None:
    while (left := moment - clock()) > 0:
        time.sleep(min(left, 0.02))
