# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Let a model watch a recording: images in, a transcript with a decision per frame out.

The result depends on the recording, the model and the settings alone. No frame is dropped.
"""

from __future__ import annotations

import copy
import dataclasses
import time
from collections.abc import Callable, Iterable, Sequence

from videollm_ros.assistant import AssistantSettings
from videollm_ros.assistant.session_settings import make_session
from videollm_ros.assistant.speech_policy import SpeechPolicy
from videollm_ros.evaluation.annotations import AnnotatedQuery
from videollm_ros.evaluation.encoder import Batch, Encoder, not_asked
from videollm_ros.evaluation.recording import Recording
from videollm_ros.evaluation.transcript import ANSWERS, SILENT, SPEAKS, Decision, Said, Transcript
from videollm_ros.evaluation.window_session import make_window_session
from videollm_ros.live import Event, FrameDecision, LiveModel, Utterance
from videollm_ros.media.bags import NANOSECONDS, to_seconds


class RecordingError(ValueError):
    """Say as a sentence why a recording gives no transcript."""


def transcribe(
    model: LiveModel,
    recording: Recording,
    settings: AssistantSettings | None = None,
    queries: Sequence[AnnotatedQuery] = (),
    on_batch: Callable[[Transcript], None] | None = None,
    window: int = 0,
    ask_rest: bool = False,
) -> Transcript:
    """Let the model watch a whole recording.

    Args:
        model: the model.
        recording: what it watches.
        settings: how it watches.
        queries: what is asked when. A query is asked at its time, and before the first image at the first image. One
            of the recording itself is asked between the images that were recorded before and after it.
        on_batch: called after every batch of frames with the transcript so far.
        window: the model sees the last so many frames alone (see `window_session`). 0: all that its context holds.
        ask_rest: whether queries behind the last frame are asked after it.

    Raises:
        BagError, VideoError: the recording cannot be read to its end.
        RecordingError: no image of it could be read.
        ValueError: the settings do not fit the model, or a query cannot be asked.
    """
    settings = settings or AssistantSettings()
    warning = model.config.rate_warning(settings.stream.fps or model.config.frame_fps)
    transcript = Transcript(recording.name, notes=[warning] if warning else [])
    watcher = Watcher(model, settings, transcript, [*recording.queries(), *queries], window)
    for batch in Encoder(model, recording, settings.stream, transcript):
        watcher.watch(batch)
        if on_batch is not None:
            on_batch(transcript)
    if not transcript.decisions:
        reason = " ".join(transcript.notes) or "It holds no image."
        raise RecordingError(f"{recording.name} gives no frame to watch. {reason}")
    watcher.finish(ask_rest)
    return transcript


class Watcher:
    """Feed batches to a session and write down what happens.

    Raises:
        ValueError: the settings do not fit the model.
    """

    def __init__(
        self,
        model: LiveModel,
        settings: AssistantSettings,
        transcript: Transcript,
        queries: Sequence[AnnotatedQuery],
        window: int = 0,
    ) -> None:
        self.session = make_window_session(model, settings, window) if window else make_session(model, settings)
        self._policy = SpeechPolicy(settings.speech)
        self.transcript = transcript
        self._queries = sorted((each for each in queries if each.recorded is None), key=lambda query: query.time)
        # Those of the recording come with the frames. Runs that share what was read share no list that they change.
        transcript.queries = [*transcript.queries, *self._queries]
        self._stream = -1

    def watch(self, batch: Batch) -> None:
        """Let the session read a batch.

        Raises:
            ValueError: a query cannot be asked.
        """
        began = time.perf_counter()
        transcript = self.transcript
        if batch.new_stream:
            self._answer_late(batch)
            self._stream += 1
            self.session.reset()
            self._policy.forget()
        self._ask(batch)
        for stamp, picture in zip(batch.stamps, batch.thumbnails, strict=bool(batch.thumbnails)):
            transcript.thumbnails[self._stream, self._time(stamp)] = picture
        stamps = [to_seconds(stamp) for stamp in batch.stamps]
        images = list(zip(batch.stamps, batch.recorded or batch.stamps, strict=True))
        self._note_events(self.session.observe_embeds(batch.embeds, stamps, self._policy.may_speak, images))
        spent = time.perf_counter() - began
        transcript.timings["decoder"] = transcript.timings.get("decoder", 0.0) + spent

    def fork(self) -> Watcher:
        """Return a copy that goes on from here by itself. Both share the model and what was seen so far."""
        clone = copy.copy(self)
        transcript = self.transcript
        clone.transcript = dataclasses.replace(
            transcript,
            decisions=list(transcript.decisions),
            utterances=list(transcript.utterances),
            held_back=list(transcript.held_back),
        )
        clone._policy = copy.deepcopy(self._policy)
        clone._queries = list(self._queries)
        model = self.session.model
        shared = [model, model.config, model.tokenizer, model.template, *model.modules(), *model.parameters()]
        clone.session = copy.deepcopy(self.session, {id(each): each for each in [*shared, *model.buffers()]})
        return clone

    def finish(self, ask_rest: bool = False) -> None:
        """Ask the queries that lie behind the last frame, or note that they were not asked.

        Raises:
            ValueError: a query cannot be asked.
        """
        if ask_rest and self.transcript.decisions:
            last = to_seconds(self.transcript.decisions[-1].stamp)
            while self._queries:
                query = self._queries.pop(0)
                self._put(query, last, self._stamp_of(query))
            self._note_events(self.session.answer(last))
        if self._queries:
            self.transcript.notes = [*self.transcript.notes, not_asked(len(self._queries))]

    def _ask(self, batch: Batch) -> None:
        """Hand over the queries that are due within the batch. None comes before the first frame was read."""
        first, last = to_seconds(batch.stamps[0]), to_seconds(batch.stamps[-1])
        due = [(each.query, to_seconds(each.stamp)) for each in batch.queries]
        if not self.transcript.decisions:  # there is no earlier stream to answer them
            due = [*((each.query, first) for each in batch.late_queries), *due]
        while self._queries and self._stamp_of(self._queries[0]) <= last:
            query = self._queries.pop(0)
            due.append((query, self._stamp_of(query)))
        for query, stamp in due:
            stamp = max(stamp, first) if batch.new_stream else stamp
            self._put(query, stamp, stamp)

    def _answer_late(self, batch: Batch) -> None:
        """Let the stream that ends answer the queries that were recorded behind its last frame."""
        if batch.late_queries and self.transcript.decisions:
            for asked in batch.late_queries:
                self._put(asked.query, to_seconds(asked.stamp), to_seconds(asked.stamp))
            self._note_events(self.session.answer(to_seconds(batch.late_queries[-1].stamp)))

    def _put(self, query: AnnotatedQuery, stamp: float, due: float) -> None:
        """Hand a query over, to be answered at a stamp. `due` is the stamp that it would have by its own time."""
        self.session.ask(query.text, stamp, request=(due, query.time))

    def _stamp_of(self, query: AnnotatedQuery) -> float:
        return to_seconds(self.transcript.begin + round(query.time * 1e9))

    def _note_events(self, events: Iterable[Event]) -> None:
        for event in events:
            if isinstance(event, FrameDecision):
                self._note_decision(event)
            elif isinstance(event, Utterance):
                self._note_utterance(event)

    def _note_decision(self, event: FrameDecision) -> None:
        kept_silent = event.wants_to_speak and not event.speaks
        self._policy.note_frame(event.stamp, event.speak_probability, kept_silent=kept_silent)
        stamp, recorded = event.frame
        decision, time = SPEAKS if event.speaks else SILENT, self._time(stamp)
        self.transcript.decisions.append(
            Decision(stamp, time, self._stream, event.speak_probability, event.threshold, decision, recorded)
        )

    def _note_utterance(self, utterance: Utterance) -> None:
        """Write an utterance down at the frame that was read last. What the node would hold back stands apart."""
        decisions, text = self.transcript.decisions, utterance.text
        last, proactive = decisions[-1], utterance.query is None
        due, asked = utterance.request or (0.0, None)
        said = Said(
            last.stamp,
            last.time,
            text,
            utterance.query,
            last.speak_probability,
            utterance.truncated,
            asked=asked,
            recorded=last.recorded,
        )
        seen = (text, to_seconds(last.stamp), last.speak_probability)
        if proactive and (not text or self._policy.is_repeat(*seen)):
            self._policy.record_repeat(*seen)
            self.transcript.held_back.append(said)
            return
        self._policy.record(*seen, proactive=proactive)
        self.transcript.utterances.append(said)
        # A query that comes later than the frame leaves the frame its own decision.
        if not proactive and due <= to_seconds(last.stamp):
            decisions[-1] = dataclasses.replace(last, decision=ANSWERS)

    def _time(self, stamp: int) -> float:
        return (stamp - self.transcript.begin) / NANOSECONDS
