# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The one thread that owns a stream: it reads frames, answers queries and obeys commands between two steps.

Frames are encoded beside it, in the encoder's thread. Whatever other threads want of the stream they leave in the
inbox; what the stream says leaves through `Outputs`.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future
from typing import Any

import numpy as np
import torch

from videollm_ros.assistant.encoder import MAX_BATCH, FrameEncoder, stack_embeds
from videollm_ros.assistant.latency import Lap, LatencyMeter
from videollm_ros.assistant.queries import Query
from videollm_ros.assistant.scheduler import Frame, Inbox, Work
from videollm_ros.assistant.settings import SpeechSettings, StreamSettings
from videollm_ros.assistant.speech_policy import Manners
from videollm_ros.assistant.utterances import Outputs, Reply, Speaker
from videollm_ros.live import FrameDecision, PartialReply, StreamSession, Utterance
from videollm_ros.media.images import ImageError

Event = FrameDecision | PartialReply | Utterance


class FrameDropped(Exception):
    """The inbox dropped the frame before its turn came to be encoded."""


def failure(part: str, error: Exception) -> str:
    """What went wrong in a part of the model, as a sentence."""
    if isinstance(error, torch.OutOfMemoryError):
        torch.cuda.empty_cache()
        return f"The GPU ran out of memory: {error} Set model.quantization, or a smaller context or stream.backlog."
    return f"The {part} failed: {type(error).__name__}: {error}"


class Inference:
    """Runs one StreamSession. Its public methods may be called from any thread; the session is its own.

    Args:
        session: the stream; nobody else touches it from now on.
        convert: image message -> uint8 RGB [H, W, 3]; raises ImageError.
    """

    def __init__(
        self,
        session: StreamSession,
        inbox: Inbox,
        manners: Manners,
        outputs: Outputs,
        convert: Callable[[Any], np.ndarray],
    ):
        self._session, self._inbox, self._manners = session, inbox, manners
        self._outputs, self._convert = outputs, convert
        self._encoder = FrameEncoder(session.model, self._pixels, inbox.encoded, self._unreadable, capacity=MAX_BATCH)
        inbox.encode = self._encoder.put
        self._speaker = Speaker(manners, outputs)
        self._asked: dict[str, Query] = {}  # handed to the session and not answered yet, by key
        self._stream = 0  # number of the stream being read
        self._restart = ""  # why a new stream must begin before anything else is read
        self._closing = False
        self._at_rest: list[Future[None]] = []  # who waits for the end of the turn to pause
        self.image_errors = 0
        self.frames_used = 0
        self.newest = 0.0  # stamp of the newest frame read
        self.device = session.model.device
        self.max_new_tokens_limit = session.max_new_tokens_limit
        self.latency = LatencyMeter()
        self.state = session.state
        self._thread = threading.Thread(target=self._run, name="inference", daemon=True)
        self._thread.start()

    @property
    def held_back(self) -> int:
        """Unasked utterances that were not published: repeats, and speech that was muted meanwhile."""
        return self._speaker.held_back

    # Called from any thread.

    def ask(self, query: Query) -> None:
        self._inbox.submit(query)
        if self._closing:  # it came too late for the thread to see it
            self._close("The assistant was shut down.")

    def cancel(self, query: Query, reason: str) -> None:
        """Take the query back, or stop its answer within one token."""
        if self._inbox.withdraw(query):
            query.fail(reason)
        else:
            self._inbox.post(lambda: self._cancel(query, reason))

    def apply(self, stream: StreamSettings, speech: SpeechSettings) -> None:
        """Take over what may change live."""
        self._inbox.post(lambda: self._apply(stream, speech))

    def reset(self, reason: str) -> Future[None]:
        """Forget the stream. The future is done when nothing more is read of it."""
        self._inbox.end_stream()
        return self._command(lambda: self._forget(reason))

    def pause(self, reason: str) -> Future[None]:
        """Close the reply in progress and fail the queries that wait; the stream is kept.

        The future is done when the last message has been published.
        """
        self._inbox.drop_frames()
        done: Future[None] = Future()
        self._inbox.post(lambda: self._fall_silent(reason, done))
        return done

    def close(self, reason: str) -> None:
        """End the thread after the step it is at, and wait for it."""
        self._inbox.post(lambda: self._close(reason))
        self._thread.join()
        self._encoder.close()

    def _command(self, action: Callable[[], None]) -> Future[None]:
        done: Future[None] = Future()

        def command() -> None:
            action()
            done.set_result(None)

        self._inbox.post(command)
        return done

    # The encoder's thread.

    def _pixels(self, frame: Frame) -> np.ndarray:
        if frame.dropped:
            raise FrameDropped
        return self._convert(frame.message)

    def _unreadable(self, frame: Frame, error: Exception) -> None:
        self._inbox.discard(frame)
        if isinstance(error, FrameDropped):
            return
        self.image_errors += 1
        if isinstance(error, ImageError):
            self._outputs.image_refused(str(error))
        else:
            self._outputs.failed(failure("encoder", error))

    # From here on: the inference thread.

    def _run(self) -> None:
        while not self._closing:
            work = self._inbox.wait(unanswered=bool(self._asked))
            try:
                for command in work.commands:
                    command()
                if self._restart:
                    self._begin_stream(self._restart)
                self._turn(work)
            except Exception as error:  # noqa: BLE001 - whatever fails ends this turn, never the thread
                self._recover(error, work)
            while self._at_rest:
                self._at_rest.pop().set_result(None)
            self.state = self._session.state
        self._speaker.forget()  # and so closes the reply in progress

    def _turn(self, work: Work) -> None:
        if work.frames and work.frames[0].stream != self._stream:
            earlier = [query for query in work.queries if query.stream == self._stream]
            self._answer(earlier)
            self._stream = work.frames[0].stream
            if self._session.state.frames_read:
                self._begin_stream("the image stamps jumped back, or too long a gap lay between two of them")
            work = Work(queries=[query for query in work.queries if query not in earlier], frames=work.frames)
        if not work.frames:
            self._answer(work.queries)
            return
        for query in work.queries:
            self._hand_over(query)
        self._read(work.frames)

    def _read(self, frames: list[Frame]) -> None:
        """Read frames in order, in as few passes of the decoder as their decisions allow."""
        now = time.monotonic()
        for frame in frames:
            self.latency.add("encode", frame.encoded.encode_seconds)
            self.latency.add("queue", now - frame.received - frame.encoded.encode_seconds)
        embeds = stack_embeds([frame.encoded for frame in frames])
        by_stamp = {frame.stamp: frame for frame in frames}
        self._play(self._session.stream_embeds(embeds, list(by_stamp), self._manners.may_speak), by_stamp)
        self.newest = frames[-1].stamp  # also where the frame gate skipped it

    def _answer(self, queries: list[Query]) -> None:
        """Answer these queries, and those that still wait, without waiting for a frame."""
        for query in queries:
            self._hand_over(query)
        if self._asked:
            self._play(self._session.answer(max(query.stamp for query in self._asked.values())), {})

    def _hand_over(self, query: Query) -> None:
        try:
            self._session.ask(query.text, query.stamp, query.key)
        except ValueError as error:
            query.fail(f"The query was refused: {error}.")
        else:
            self._asked[query.key] = query

    def _play(self, events: Generator[Event], frames: dict[float, Frame]) -> None:
        """Publish the events as they come, and obey what is commanded between two of them."""
        lap = Lap()
        with contextlib.closing(events):
            for event in events:
                if not isinstance(event, Utterance):
                    self.latency.add("frame" if isinstance(event, FrameDecision) else "token", lap())
                self._publish(event, frames)
                for command in self._inbox.commands():
                    command()
                if self._restart or self._closing or (self._at_rest and self._speaker.reply is None):
                    break
                lap()
        self._inbox.replying = False
        if self._restart:
            self._begin_stream(self._restart)

    def _publish(self, event: Event, frames: dict[float, Frame]) -> None:
        if isinstance(event, FrameDecision):
            frame = frames[event.stamp]
            self.frames_used += 1
            self.newest = event.stamp
            self._speaker.saw(frame.message.header, event.speak_probability)
            self._outputs.frame_read(frame, event)
            self._inbox.replying = event.speaks
            return
        query = None if event.query is None else self._asked.get(event.query_id)
        if isinstance(event, PartialReply):
            self._inbox.replying = True
            self._speaker.grew(event, query)
            if self._speaker.reply.silenced:  # muted between the decision to speak and the first token
                self._session.stop_reply()
            return
        self._inbox.replying = False
        speech = self._speaker.finished(event, query)
        if query is not None:
            del self._asked[query.key]
            query.resolve(speech)

    # Commands.

    def _cancel(self, query: Query, reason: str) -> None:
        reply = self._speaker.reply
        if reply is not None and reply.query is query:
            self._session.stop_reply()
        elif self._asked.pop(query.key, None) is not None:
            self._session.withdraw(query.key)
            query.fail(reason)

    def _apply(self, stream: StreamSettings, speech: SpeechSettings) -> None:
        self._session.threshold = stream.threshold
        try:
            self._session.max_new_tokens = stream.max_new_tokens
        except ValueError as error:
            self._outputs.failed(f"stream.max_new_tokens stays {self._session.max_new_tokens}: {error}.")
        self._manners.rules = speech
        reply = self._speaker.reply
        if speech.muted and reply is not None and reply.query is None:
            self._silence(reply)

    def _fall_silent(self, reason: str, done: Future[None]) -> None:
        for query in self._inbox.withdraw_all():
            query.fail(reason)
        for query in list(self._asked.values()):
            self._cancel(query, reason)
        if self._speaker.reply is not None:
            self._silence(self._speaker.reply)
        self._at_rest.append(done)

    def _silence(self, reply: Reply) -> None:
        reply.silenced = True
        self._session.stop_reply()

    def _forget(self, reason: str) -> None:
        self._restart = reason  # done once the generator of what is being read has been left

    def _close(self, reason: str) -> None:
        self._closing = True
        for query in [*self._inbox.withdraw_all(), *list(self._asked.values())]:
            query.fail(reason)

    def _begin_stream(self, reason: str) -> None:
        """Forget everything that was seen and said."""
        self._speaker.forget()
        self._inbox.replying = False
        self._session.reset()
        for query in self._asked.values():
            query.fail(f"The stream was reset before the answer: {reason}.")
        self._asked.clear()
        self._restart = ""
        self._outputs.stream_began(reason)

    def _recover(self, error: Exception, work: Work) -> None:
        """Say what went wrong; the stream's state cannot be trusted any more, so a new one begins."""
        sentence = failure("decoder", error)
        for query in [*work.queries, *self._asked.values()]:
            query.fail(sentence)
        self._asked.clear()
        self._outputs.failed(sentence)
        self._restart = "the decoder failed"
