# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The one thread that owns a stream's session: it reads frames, answers queries and obeys commands between two steps.

Frames are encoded beside it, in the encoder's thread. Other threads leave what they want with the scheduler. What the
stream says leaves through the UtterancePublisher.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from typing import cast

from videollm_ros.assistant.encoder import stack_embeds
from videollm_ros.assistant.faults import FaultCounter, describe_failure
from videollm_ros.assistant.frames import Frame
from videollm_ros.assistant.latency import LatencyMeter, Stopwatch
from videollm_ros.assistant.listeners import Listeners
from videollm_ros.assistant.queries import PendingQuery
from videollm_ros.assistant.scheduler import FrameScheduler, WorkItem
from videollm_ros.assistant.session_settings import apply_settings
from videollm_ros.assistant.settings import AssistantSettings
from videollm_ros.assistant.speech_policy import SpeechPolicy
from videollm_ros.assistant.utterances import UtterancePublisher
from videollm_ros.live import Event, FrameDecision, PartialReply, StreamSession, Utterance

_STAMPS_JUMPED = "the image stamps jumped back, or too long a gap lay between two of them"


class InferenceWorker:
    """Runs one session in a thread of its own.

    The first public methods may be called from any thread. All else belongs to the inference thread.
    """

    def __init__(
        self,
        session: StreamSession,
        scheduler: FrameScheduler,
        policy: SpeechPolicy,
        publisher: UtterancePublisher,
        listeners: Listeners,
        faults: FaultCounter,
        on_fatal: Callable[[str], None],
        clock: Callable[[], float],
    ) -> None:
        """Start the thread. Nobody else touches session, policy and publisher from now on."""
        self._session, self._scheduler, self._policy = session, scheduler, policy
        self._publisher, self._listeners, self._faults = publisher, listeners, faults
        self._on_fatal, self._clock = on_fatal, clock
        self._asked: dict[str, PendingQuery] = {}  # handed to the session and not answered yet, by request id
        self._stream = 0  # number of the stream being read
        self._restart = ""  # why a new stream must begin before anything else is read
        self._closing = ""  # why the thread ends
        self._reset_waiters: list[Future[None]] = []
        self._pause_waiters: list[Future[None]] = []
        self.frames_used = self.recoveries = 0
        self.newest_read = 0.0
        """Stamp of the newest frame read or skipped, in seconds."""
        self.latency = LatencyMeter()
        self.state = session.state
        self._thread = threading.Thread(target=self._run, name="inference", daemon=True)
        self._thread.start()

    # Called from any thread.

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    @property
    def is_closing(self) -> bool:
        """Whether the thread was told to end, or has said why it ends. One that is dead without it has crashed."""
        return bool(self._closing)

    def cancel(self, query: PendingQuery, reason: str) -> None:
        """Take a query back that the session has, or stop its answer within one token."""
        self._scheduler.post_command(lambda: self._cancel(query, reason))

    def apply(self, settings: AssistantSettings) -> None:
        """Take over the settings that may change while the stream runs."""
        self._scheduler.post_command(lambda: self._apply(settings))

    def reset(self, reason: str) -> Future[None]:
        """Forget the stream. The future is done when it is forgotten."""
        return self._command(lambda done: self._request_restart(reason, done))

    def pause(self, reason: str) -> Future[None]:
        """Cut off the reply in progress and fail the queries that wait. The future is done after the last update."""
        return self._command(lambda done: self._pause(reason, done))

    def close(self, reason: str) -> None:
        """End the thread after the step it is at. A reply in progress is cut off and published."""
        self._scheduler.post_command(lambda: self._close(reason))

    def join(self) -> None:
        """Wait for the thread to end."""
        self._thread.join()

    def _command(self, command: Callable[[Future[None]], None]) -> Future[None]:
        done: Future[None] = Future()
        self._scheduler.post_command(lambda: command(done))
        return done

    # The inference thread.

    def _run(self) -> None:
        try:
            while not self._closing:
                # A new stream that is due is begun at once, and not only when there is work.
                self._process(WorkItem() if self._restart else self._scheduler.wait(unanswered=bool(self._asked)))
        except BaseException as error:  # noqa: BLE001 - SystemExit too: somebody must learn that nothing is read any more
            self._die(f"The inference thread ended: {type(error).__name__}: {error}")
        self._publisher.forget()
        for query in [*self._scheduler.withdraw_all(), *self._asked.values()]:
            query.fail(self._closing)
        for waiter in (*self._reset_waiters, *self._pause_waiters):
            waiter.set_result(None)

    def _die(self, sentence: str) -> None:
        self._closing = sentence
        self._on_fatal(sentence)

    def _process(self, work: WorkItem) -> None:
        """Do one piece of work. A failure of the model ends it, and a new stream begins."""
        try:
            self._obey(work.commands)
            if self._restart:
                self._begin_stream(self._restart)
            self._read_and_answer(work)
            if self._restart:
                self._begin_stream(self._restart)
        except Exception as error:  # noqa: BLE001 - any failure of the model ends this turn, not the thread
            self._recover(error, work)
        while self._pause_waiters:
            self._pause_waiters.pop().set_result(None)
        self.state = self._session.state

    def _obey(self, commands: Iterable[Callable[[], None]]) -> None:
        for command in commands:
            command()

    def _read_and_answer(self, work: WorkItem) -> None:
        queries = work.queries
        if work.frames and work.frames[0].stream != self._stream:
            earlier = [query for query in queries if query.stream == self._stream]
            queries = [query for query in queries if query not in earlier]
            self._answer(earlier)
            if self._is_interrupted:
                for query in queries:
                    query.fail("The assistant was interrupted before the answer: ask again.")
                return
            self._stream = work.frames[0].stream
            if self._session.state.frames_read:
                self._begin_stream(_STAMPS_JUMPED)
            self._policy.forget()  # what was said before the first frame has a stamp of the earlier stream
        if work.frames:
            self._hand_over(queries)
            self._read(work.frames)
        else:
            self._answer(queries)

    @property
    def _is_interrupted(self) -> bool:
        return bool(self._restart or self._closing or self._pause_waiters)

    def _read(self, frames: list[Frame]) -> None:
        """Read frames in order, in as few passes of the decoder as their decisions allow."""
        now = self._clock()
        for frame in frames:
            self.latency.add("encode", frame.encode_seconds)
            self.latency.add("queue", max(0.0, now - frame.received - frame.encode_seconds))
        stamps = [frame.stamp for frame in frames]
        self._consume(self._session.observe_embeds(stack_embeds(frames), stamps, self._policy.may_speak, frames))
        self.newest_read = frames[-1].stamp  # also where the frame gate skipped it

    def _answer(self, queries: list[PendingQuery]) -> None:
        """Answer these queries, and those that still wait, without waiting for a frame."""
        self._hand_over(queries)
        if self._asked:
            self._consume(self._session.answer(max(query.stamp for query in self._asked.values())))

    def _hand_over(self, queries: list[PendingQuery]) -> None:
        for query in queries:
            try:
                self._session.ask(query.text, query.stamp, query.request_id, request=query)
            except ValueError as error:
                query.fail(f"The query was refused: {error}.")
            else:
                self._asked[query.request_id] = query

    def _consume(self, events: Iterable[Event]) -> None:
        """Publish the events as they come, and obey what is commanded between two of them."""
        stopwatch = Stopwatch()
        with contextlib.closing(cast("Generator[Event]", events)):
            for event in events:
                if not isinstance(event, Utterance):
                    stage = "frame" if isinstance(event, FrameDecision) else "token"
                    self.latency.add(stage, stopwatch.read())
                self._publish(event)
                self._obey(self._scheduler.commands())
                if self._restart or (self._is_interrupted and self._publisher.reply is None):
                    break
                stopwatch.read()

    def _publish(self, event: Event) -> None:
        if isinstance(event, FrameDecision):
            self._on_frame(event.frame, event)
        elif isinstance(event, PartialReply):
            self._publisher.on_partial(event)
        else:
            self._faults.clear()
            if event.request is not None:
                self._asked.pop(event.request.request_id, None)
            self._publisher.on_utterance(event)

    def _on_frame(self, frame: Frame, decision: FrameDecision) -> None:
        self._faults.clear()
        self.frames_used += 1
        self.newest_read = frame.stamp
        self._publisher.on_frame(frame, decision)
        self._listeners.tell(lambda each: each.on_frame(frame, decision))
        frame.pixels = frame.embeds = None

    # Commands.

    def _cancel(self, query: PendingQuery, reason: str) -> None:
        reply = self._publisher.reply
        if reply is not None and reply.query is query:
            query.interrupted = reason
            self._session.stop_reply()
        elif self._asked.pop(query.request_id, None) is not None:
            query.interrupted = reason
            self._session.withdraw(query.request_id)
            query.fail(reason)

    def _apply(self, settings: AssistantSettings) -> None:
        for sentence in apply_settings(self._session, settings.stream):
            self._say_failure(sentence)
        self._policy.settings = settings.speech
        if settings.speech.muted and self._publisher.mute_reply():
            self._session.stop_reply()

    def _pause(self, reason: str, done: Future[None]) -> None:
        self._cut_off(reason)
        self._pause_waiters.append(done)

    def _close(self, reason: str) -> None:
        self._closing = self._closing or reason
        self._cut_off(reason)

    def _cut_off(self, reason: str) -> None:
        """Stop the reply in progress and fail the queries that wait."""
        reply = self._publisher.reply
        for query in list(self._asked.values()):
            if reply is None or reply.query is not query:
                self._cancel(query, reason)
        for query in self._scheduler.withdraw_all():
            query.fail(reason)
        if reply is not None and reply.query is not None:
            reply.query.interrupted = reason
        self._session.stop_reply()

    def _request_restart(self, reason: str, done: Future[None]) -> None:
        self._restart = reason  # done once the generator of what is being read has been left
        self._reset_waiters.append(done)

    # New streams.

    def _begin_stream(self, reason: str) -> None:
        """Forget everything that was seen and said."""
        self._publisher.forget()
        self._session.reset()
        self._restart = ""
        for query in self._asked.values():
            query.fail(f"The stream was reset before the answer: {reason}.")
        self._asked.clear()
        self.state = self._session.state
        self._listeners.tell(lambda each: each.on_stream_began(reason))
        while self._reset_waiters:
            self._reset_waiters.pop().set_result(None)

    def _recover(self, error: Exception, work: WorkItem) -> None:
        """Say what went wrong. The stream's state cannot be trusted any more, so a new one begins."""
        sentence = describe_failure("decoder", error)
        for query in [*work.queries, *self._asked.values()]:
            query.fail(sentence)
        self._asked.clear()
        self._say_failure(sentence)
        self.recoveries += 1
        self._restart = "the decoder failed"
        if self._faults.record():
            self._die(f"The model does not recover: {self._faults.in_a_row} failures in a row. {sentence}")

    def _say_failure(self, sentence: str) -> None:
        self._listeners.tell(lambda each: each.on_failure(sentence))
