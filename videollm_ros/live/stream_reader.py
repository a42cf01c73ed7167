# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reads the frames and the queries of a stream in the order of their stamps, decides, and replies."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from videollm_ros.live.context import StreamContext
from videollm_ros.live.events import Event, FrameDecision, PartialReply, Utterance, decode_reply
from videollm_ros.live.model import LiveModel
from videollm_ros.live.queries import Query, QueryQueue
from videollm_ros.live.speak_rule import SilencePrediction, SpeakRule
from videollm_ros.live.speculation import ReadAhead
from videollm_ros.live.waiting_frames import WaitingFrames

MaySpeak = bool | Callable[[float], bool]


@dataclass
class _Reply:
    """A reply that is growing, or that follows the newest decision at once."""

    query: Query | None = None
    stopped: bool = False


class StreamReader:
    """Yields what happens in a stream, event by event.

    A generator may be closed at any event. If the stream was reset, or something else was read, while a generator was
    suspended, it gives up its reply, reads its remaining frames again where they were speculative, and goes on.
    """

    def __init__(self, model: LiveModel, context: StreamContext, rule: SpeakRule) -> None:
        """Begin a stream.

        Args:
            model: The model.
            context: What the decoder has read. Nothing else may use it.
            rule: Decides to speak. It may be replaced between two events.
        """
        self.rule = rule
        self.max_new_tokens = 1
        self.queries = QueryQueue()
        self._model, self._context = model, context
        self._reply: _Reply | None = None
        self.begin_stream()

    def begin_stream(self) -> None:
        """Forget the frames and the reply. The queries stay."""
        self.stamp: float | None = None
        """Stamp of the newest frame read, in seconds."""
        self.frames_read = self.frames_skipped = 0
        self._read_ahead = ReadAhead()
        self._reply = None

    def stop_reply(self) -> None:
        """End the reply in progress at its next event."""
        if self._reply is not None:
            self._reply.stopped = True

    @property
    def failed_query(self) -> Query | None:
        """The query whose answer was in progress when a step failed."""
        return self._reply.query if self._reply is not None and self._context.guard.broken else None

    def answer(self, stamp: float) -> Iterator[PartialReply | Utterance]:
        """Answer the queries stamped at or before `stamp` (seconds)."""
        while self.queries.next_stamp <= stamp:
            yield from self._answer_next(_Reply())

    def read(self, waiting: WaitingFrames, may_speak: MaySpeak) -> Iterator[Event]:
        """Read frames that wait, and answer the queries that are due before or at them.

        Raises:
            ValueError: Another call has read a later frame while this one was suspended.
        """
        while len(waiting):
            selected = waiting.select(self.queries)
            if not selected:
                self.frames_skipped += waiting.skip()
                continue
            stamp = waiting.stamps[selected[0]]
            while self.queries.next_stamp < stamp:
                yield from self._answer_next(_Reply())
            if self.stamp is not None and stamp < self.stamp:
                raise ValueError(f"the stamp {stamp} s lies before {self.stamp} s, which another call has read")
            yield from self._read_pass(waiting, selected, may_speak)

    def _read_pass(self, waiting: WaitingFrames, selected: Sequence[int], may_speak: MaySpeak) -> Iterator[Event]:
        """Read selected frames in one forward, up to the first that leads to a reply."""
        self._reply = None
        stamps = [waiting.stamps[index] for index in selected]
        num_frames = self._frames_in_one_pass(stamps)
        selected, stamps = selected[:num_frames], stamps[:num_frames]
        speculative = self._context.read_frames(waiting.embeds_at(selected), stamps)
        try:
            for index, stamp, prediction in zip(selected, stamps, speculative.predictions, strict=False):
                if index != selected[0] and self.queries.next_stamp < stamp:
                    return  # the query came while earlier frames were decided
                speculative.accept()
                self.frames_skipped += waiting.mark_read(index)
                allowed = may_speak(stamp) if callable(may_speak) else may_speak
                yield from self._decide(prediction, stamp, waiting.frame(index), allowed)
                if not speculative.num_speculative:
                    return  # all are decided, or the rest was rolled back
        finally:
            speculative.rollback()

    def _decide(self, prediction: SilencePrediction, stamp: float, frame: Any, may_speak: bool) -> Iterator[Event]:
        """Decide about a frame that was read. Reply to it, or to the queries that are due."""
        self.stamp = stamp
        self.frames_read += 1
        asked = self.queries.next_stamp <= stamp
        wants_to_speak = self.rule.speaks(*prediction)
        speaks = wants_to_speak and may_speak and not asked
        self._read_ahead.record(silent=not (asked or speaks))
        reply = self._reply = _Reply() if asked or speaks else None
        yield FrameDecision(stamp, 1 - prediction.p_silence, self.rule.threshold, speaks, frame, wants_to_speak)
        if reply is None or self._reply is not reply:
            return  # silent, or the stream was reset
        if speaks:
            yield from self._decode(reply, 1 - prediction.p_silence)
        elif self.queries.next_stamp <= stamp:
            yield from self._answer_next(reply)
            yield from self.answer(stamp)

    def _answer_next(self, reply: _Reply) -> Iterator[PartialReply | Utterance]:
        reply.query = self.queries.pop()
        yield from self._decode(reply, 1.0)

    def _decode(self, reply: _Reply, speak_probability: float) -> Iterator[PartialReply | Utterance]:
        """Decode a reply greedily. It may be left at any event: what is read next closes its turn."""
        self._reply, query = reply, reply.query
        stamp = self.stamp if self.stamp is not None else query.stamp if query else 0.0
        text, query_id, request = (query.text, query.query_id, query.request) if query else (None, "", None)
        tokenizer, truncated = self._model.tokenizer, reply.stopped
        token_ids: list[int] = []
        if not truncated:
            token, limit = self._context.begin_reply(query, self.max_new_tokens, stamp)
            while token != self._model.template.eos_token_id:
                token_ids.append(token)
                self._context.set_pending(token)
                yield PartialReply(stamp, text, query_id, speak_probability, token_ids, tokenizer, request)
                truncated = reply.stopped or self._reply is not reply or len(token_ids) >= limit
                if truncated:
                    break
                token = self._context.next_token()
        if self._reply is reply:
            self._reply = None
        said = decode_reply(tokenizer, token_ids)
        yield Utterance(said, stamp, text, speak_probability, tuple(token_ids), truncated, query_id, request)

    def _frames_in_one_pass(self, stamps: Sequence[float]) -> int:
        """Return how many of the next frames to read: up to one at which a query is due, if there is room for them."""
        before_query = bisect.bisect_left(stamps, self.queries.next_stamp)
        exactly_at = before_query < len(stamps) and stamps[before_query] == self.queries.next_stamp
        wanted = min(self._read_ahead.num_frames, max(1, before_query + exactly_at), len(stamps))
        return min(wanted, self._context.make_room_for_frames(now=stamps[0]))
