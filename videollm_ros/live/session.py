# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One stream: frames and queries in, decisions and utterances out, in the right order (paper, figure 5)."""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from videollm_ros.live.cache import ContextLimits, Kind
from videollm_ros.live.context import StreamContext
from videollm_ros.live.events import FrameDecision, PartialReply, Utterance, decode_reply
from videollm_ros.live.gate import FrameGate
from videollm_ros.live.model import LiveModel
from videollm_ros.live.queries import Query, QueryQueue
from videollm_ros.live.template import clean_user_text

MAX_FRAMES_PER_PASS = 32
"""Waiting frames that are read in one forward; more gain nothing and cost memory."""

_FEWEST_FRAMES_PER_PASS = 4
"""Reading this many is cheap even if the first one speaks and the rest was in vain."""

MaySpeak = bool | Callable[[float], bool]
Event = FrameDecision | PartialReply | Utterance


@dataclass(frozen=True)
class StreamState:
    """What a stream holds now, for diagnostics."""

    frames_read: int
    frames_skipped: int
    queries_waiting: int
    tokens: int
    max_tokens: int
    system_tokens: int
    frame_tokens: int
    text_tokens: int
    oldest_frame_stamp: float | None
    evictions: int
    evicted_tokens: int


class StreamSession:
    """Watches one stream with a shared model. Belongs to one thread.

    A query stamped before the next frame is answered before it. One stamped at or before a frame that has just been
    read is answered right after it, in place of that frame's own decision.

    Raises:
        ValueError: a threshold outside [0, 1], or a context too small for the system prompt, a frame and a reply.
    """

    def __init__(
        self,
        model: LiveModel,
        threshold: float = 0.725,
        max_new_tokens: int = 100,
        context: ContextLimits | None = None,
        frame_gate: float | None = None,
    ) -> None:
        """
        Args:
            threshold: theta of the paper's probability correction; silence counts only when it is at least so probable.
            max_new_tokens: a reply that reaches this many tokens is closed and marked truncated.
            context: how much the stream remembers.
            frame_gate: cosine from 0 to 1: a frame that is so similar to the last one read is taken for silent without
                being read (see `FrameGate`). None reads every frame.
        """
        self.model = model
        self._context = StreamContext(model, context or ContextLimits())
        self.threshold = threshold
        self.max_new_tokens = max_new_tokens
        self._gate = None if frame_gate is None else FrameGate(frame_gate)
        self._queries = QueryQueue()
        self._stamp: float | None = None  # of the newest frame read
        self._frames_read = self._frames_skipped = 0
        self._silent_run = 0  # frames since the last reply
        self._read_ahead = _FEWEST_FRAMES_PER_PASS
        self._stop_reply = False

    @property
    def threshold(self) -> float:
        return self._threshold

    @threshold.setter
    def threshold(self, value: float) -> None:
        if not 0 <= value <= 1:
            raise ValueError(f"the threshold is a probability from 0 to 1: {value}")
        self._threshold = value

    @property
    def max_new_tokens(self) -> int:
        return self._max_new_tokens

    @max_new_tokens.setter
    def max_new_tokens(self, value: int) -> None:
        if value < 1:
            raise ValueError(f"max_new_tokens is at least 1: {value}")
        if value > self.max_new_tokens_limit:
            raise ValueError(
                f"context.max_tokens {self._context.cache.max_tokens} is too small for replies of {value} tokens: "
                f"two of them, the system prompt ({self.model.template.num_system_tokens} tokens) and a frame must fit"
            )
        self._max_new_tokens = value

    @property
    def max_new_tokens_limit(self) -> int:
        """The largest max_new_tokens that the context has room for."""
        return self._context.longest_exchange - 1

    # Queries.

    def ask(self, text: str, stamp: float, query_id: str = "") -> None:
        """Queue a query; it is answered when the stream reaches `stamp` (seconds).

        Raises:
            ValueError: the query is empty, its stamp is no number, or it is too long for the context.
        """
        query = Query(clean_user_text(text), _finite(stamp), query_id)
        length, most = self._context.query_length(query.text), self._context.longest_exchange - self.max_new_tokens
        if length > most:
            raise ValueError(f"the query has {length} tokens; with this context it may have {most}")
        self._queries.put(query)

    def withdraw(self, query_id: str) -> bool:
        """Take queued queries back. Returns whether there was one of that id."""
        return self._queries.withdraw(query_id)

    def answer(self, stamp: float) -> Iterator[PartialReply | Utterance]:
        """Answer the queries stamped at or before `stamp` now, without waiting for a frame."""
        while self._queries.next_stamp <= stamp:
            yield from self._reply(self._queries.pop(), 1.0)

    def stop_reply(self) -> None:
        """Called between two events: close the reply in progress. Its utterance comes next, marked truncated."""
        self._stop_reply = True

    # Frames.

    def observe(self, frame: Tensor | np.ndarray, stamp: float) -> list[Utterance]:
        """Read one frame and say what it makes the model say.

        Args:
            frame: uint8 RGB [3, H, W] or [H, W, 3], any size.
            stamp: seconds; never goes back within a stream.

        Raises:
            ValueError: a frame of another type, or a stamp that goes back.
        """
        return [event for event in self.stream(frame, stamp) if isinstance(event, Utterance)]

    def observe_many(self, frames: Tensor | np.ndarray | Sequence, stamps: Sequence[float]) -> list[Utterance]:
        """Read frames that have been waiting: the same result as one by one, faster.

        Args:
            frames: T frames as for `observe`, all of one size, or a sequence of frames of different sizes.
            stamps: T seconds.
        """
        self._check_stamps(stamps, len(frames))
        starts = range(0, len(frames), MAX_FRAMES_PER_PASS)
        aside = torch.cuda.Stream(self.model.device) if self.model.device.type == "cuda" else None
        utterances: list[Utterance] = []
        with ThreadPoolExecutor(1, "encoder") as encoder:  # one chunk ahead of the decoder
            chunks = [frames[start : start + MAX_FRAMES_PER_PASS] for start in starts]
            ahead = encoder.submit(self._embed_aside, chunks[0], aside) if chunks else None
            for index, start in enumerate(starts):
                embeds, ready = ahead.result()
                if index + 1 < len(chunks):
                    ahead = encoder.submit(self._embed_aside, chunks[index + 1], aside)
                if ready is not None:
                    stream = torch.cuda.current_stream(embeds.device)
                    stream.wait_event(ready)
                    embeds.record_stream(stream)
                events = self.stream_embeds(embeds, stamps[start : start + MAX_FRAMES_PER_PASS])
                utterances += [event for event in events if isinstance(event, Utterance)]
        return utterances

    def stream(self, frame: Tensor | np.ndarray, stamp: float, may_speak: MaySpeak = True) -> Iterator[Event]:
        """Read one frame, an event per step: as `observe`, for those who want to see the reply grow."""
        yield from self.stream_embeds(self._embed([frame]), [stamp], may_speak)

    def stream_embeds(self, embeds: Tensor, stamps: Sequence[float], may_speak: MaySpeak = True) -> Iterator[Event]:
        """Read frames that are encoded already.

        Silence is deterministic: what is fed after a silent frame is known before the frame is read. So waiting frames
        are read in one forward as if all were silent, each decision is checked afterwards, and at the first that
        speaks the cache is cut back to it.

        Args:
            embeds: decoder embeddings [T, n, d_model].
            stamps: T seconds.
            may_speak: whether a frame may lead to unasked speech; when not, its decision is silence. A function is
                asked with the frame's stamp, in order, after the events of earlier frames were yielded.
        """
        self._check_stamps(stamps, len(embeds))
        if self._gate is not None:
            embeds, stamps = self._pass_gate(self._gate, embeds, stamps)
        context, done = self._context, 0
        while done < len(stamps):
            while self._queries.next_stamp < stamps[done]:
                yield from self._reply(self._queries.pop(), 1.0)
            num_frames = self._frames_in_one_pass(stamps[done:])
            readings = context.read_frames(embeds[done : done + num_frames], stamps[done : done + num_frames])
            try:
                for p_silence, silence_is_best in readings:
                    stamp = stamps[done]
                    if context.undecided < num_frames and self._queries.next_stamp < stamp:
                        break  # the query came while earlier frames were decided
                    done += 1
                    self._stamp = stamp
                    self._frames_read += 1
                    context.decide_oldest()
                    asked = self._queries.next_stamp <= stamp
                    allowed = may_speak(stamp) if callable(may_speak) else may_speak
                    silent = silence_is_best and p_silence >= self.threshold
                    speaks = allowed and not asked and not silent
                    self._look_ahead(quiet=not (asked or speaks))
                    if asked or speaks:
                        context.forget_undecided()
                    yield FrameDecision(stamp, 1 - p_silence, self.threshold, speaks)
                    if asked:
                        yield from self.answer(stamp)
                    elif speaks:
                        yield from self._reply(None, 1 - p_silence)
                    if not context.undecided:
                        break  # all decided, cut back to this one, or reset meanwhile
            finally:
                context.forget_undecided()

    def reset(self) -> list[Query]:
        """Forget the stream. Returns the queries that were still waiting, which are forgotten as well."""
        self._context.clear()
        self._stop_reply = True
        self._stamp = None
        self._frames_read = self._frames_skipped = 0
        if self._gate is not None:
            self._gate.reset()
        return self._queries.clear()

    @property
    def state(self) -> StreamState:
        cache = self._context.cache
        return StreamState(
            frames_read=self._frames_read,
            frames_skipped=self._frames_skipped,
            queries_waiting=len(self._queries),
            tokens=cache.length,
            max_tokens=cache.max_tokens,
            system_tokens=cache.tokens_of(Kind.SYSTEM),
            frame_tokens=cache.tokens_of(Kind.FRAME),
            text_tokens=cache.tokens_of(Kind.TEXT),
            oldest_frame_stamp=cache.oldest_frame,
            evictions=cache.evictions,
            evicted_tokens=cache.evicted_tokens,
        )

    def _reply(self, query: Query | None, speak_probability: float) -> Iterator[PartialReply | Utterance]:
        """Decode a reply greedily. However it ends, the stream can go on: what is fed next closes the turn."""
        stamp = self._stamp if self._stamp is not None else query.stamp
        text, query_id = (query.text, query.query_id) if query else (None, "")
        token_ids: list[int] = []
        truncated = self._stop_reply = False
        next_token, limit = self._context.open_reply(text, self.max_new_tokens, stamp)
        while next_token != self.model.template.eos_token_id:
            token_ids.append(next_token)
            self._context.keep(next_token)
            yield PartialReply(stamp, text, query_id, speak_probability, token_ids, self.model.tokenizer)
            if self._stop_reply or len(token_ids) >= limit:
                truncated = True
                break
            next_token = self._context.next_token()
        reply = decode_reply(self.model.tokenizer, token_ids)
        yield Utterance(reply, stamp, text, speak_probability, tuple(token_ids), truncated, query_id)

    # Which frames are read, and how many at once.

    @torch.inference_mode()
    def _embed(self, frames: Tensor | np.ndarray | Sequence) -> Tensor:
        """Decoder embeddings [T, n, d_model] of T frames of any size."""
        if isinstance(frames, Tensor | np.ndarray):
            prepared = self.model.prepare(frames)
        else:
            prepared = torch.stack([self.model.prepare(frame) for frame in frames])
        return self.model.embed(self.model.encode(prepared))

    def _embed_aside(
        self, frames: Tensor | np.ndarray | Sequence, stream: torch.cuda.Stream | None
    ) -> tuple[Tensor, torch.cuda.Event | None]:
        """The same on a CUDA stream of its own, and what to wait for before they are read."""
        with torch.cuda.stream(stream):
            return self._embed(frames), None if stream is None else stream.record_event()

    def _pass_gate(self, gate: FrameGate, embeds: Tensor, stamps: Sequence[float]) -> tuple[Tensor, list[float]]:
        """The frames that are worth reading; one at which a query is due always is."""
        due = {bisect.bisect_left(stamps, asked) for asked in self._queries.stamps}  # the frames they are answered at
        passed = gate.select(embeds, [index in due for index in range(len(stamps))])
        self._frames_skipped += len(stamps) - len(passed)
        return embeds[passed], [stamps[index] for index in passed]

    def _frames_in_one_pass(self, stamps: Sequence[float]) -> int:
        """How many of the next frames to read: up to one at which a query is due, as many as there is room for."""
        before_query = bisect.bisect_left(stamps, self._queries.next_stamp)
        exactly_at = before_query < len(stamps) and stamps[before_query] == self._queries.next_stamp
        wanted = min(self._read_ahead, max(1, before_query + exactly_at), len(stamps))
        return min(wanted, self._context.make_room_for_frames(now=stamps[0]))

    def _look_ahead(self, quiet: bool) -> None:
        """Read about as many frames ahead as lay between the last two replies; more once it is quiet for longer."""
        self._silent_run += 1
        if not quiet:
            self._read_ahead, self._silent_run = self._silent_run, 0
        elif self._silent_run >= self._read_ahead:
            self._read_ahead *= 2
        self._read_ahead = min(max(self._read_ahead, _FEWEST_FRAMES_PER_PASS), MAX_FRAMES_PER_PASS)

    def _check_stamps(self, stamps: Sequence[float], num_frames: int) -> None:
        if len(stamps) != num_frames:
            raise ValueError(f"{num_frames} frames but {len(stamps)} stamps")
        last = -math.inf if self._stamp is None else self._stamp
        for stamp in stamps:
            if _finite(stamp) < last:
                raise ValueError(f"the stamp {stamp} s lies before {last} s, which was read already; reset the stream")
            last = stamp


def _finite(stamp: float) -> float:
    if not math.isfinite(stamp):
        raise ValueError(f"a stamp is a time in seconds: {stamp}")
    return stamp
