# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One stream: frames and queries in, decisions and utterances out, in the right order (paper, figure 5)."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from videollm_ros.live.context import StreamContext
from videollm_ros.live.embed_ahead import Frames, embed, embed_ahead
from videollm_ros.live.events import Event, PartialReply, Utterance
from videollm_ros.live.eviction import ContextLimits
from videollm_ros.live.gate import FrameGate
from videollm_ros.live.model import LiveModel
from videollm_ros.live.queries import Query
from videollm_ros.live.speak_rule import DEFAULT_THRESHOLD, SpeakRule
from videollm_ros.live.speculation import MAX_FRAMES_PER_PASS
from videollm_ros.live.state import StreamState, describe_state
from videollm_ros.live.steps import Step
from videollm_ros.live.stream_reader import MaySpeak, StreamReader
from videollm_ros.live.template import clean_user_text
from videollm_ros.live.waiting_frames import WaitingFrames


class StreamSession:
    """Watches one stream with a shared model. A session belongs to one thread.

    A query stamped before the next frame is answered before it. One stamped at or before a frame that has just been
    read is answered right after it, in place of that frame's own decision.

    After an error of a step the session refuses to go on with `SessionBrokenError` until `reset()`. A value that is not
    finite is such an error, `NonFiniteError`. Arguments that are refused with `ValueError` change nothing.

    Raises:
        ValueError: A threshold outside [0, 1], or a context too small for the system prompt, a frame and a reply.
    """

    def __init__(
        self,
        model: LiveModel,
        threshold: float = DEFAULT_THRESHOLD,
        max_new_tokens: int = 100,
        context: ContextLimits | None = None,
        frame_gate: float | None = None,
        rule: SpeakRule | None = None,
        on_step: Callable[[Step], None] | None = None,
    ) -> None:
        """Allocate the cache and begin a stream.

        Args:
            model: The model. Other sessions may use it as well.
            threshold: Theta of the rule that decides to speak. A higher value makes the model speak more often.
            max_new_tokens: A reply that reaches this many tokens is closed and marked truncated.
            context: How much the stream remembers.
            frame_gate: A cosine above 0, at most 1. A frame that is at least this similar to the last frame read is
                treated as silent and skipped (see `FrameGate`). None reads every frame.
            rule: The rule that decides to speak. It takes the place of `threshold`.
            on_step: Called with the timing of each step, in the thread of the session. It must not raise.
        """
        rule = rule or SpeakRule(threshold)
        self.model = model
        self._gate = None if frame_gate is None else FrameGate(frame_gate)
        self._context = StreamContext(model, context or ContextLimits(), on_step)
        self._reader = StreamReader(model, self._context, rule)
        self._queries = self._reader.queries
        self.max_new_tokens = max_new_tokens

    @property
    def rule(self) -> SpeakRule:
        """The rule that decides to speak. A change holds from the next decision on."""
        return self._reader.rule

    @rule.setter
    def rule(self, value: SpeakRule) -> None:
        self._reader.rule = value

    @property
    def threshold(self) -> float:
        """Theta of the rule that decides to speak."""
        return self.rule.threshold

    @threshold.setter
    def threshold(self, value: float) -> None:
        self.rule = replace(self.rule, threshold=value)

    @property
    def max_new_tokens(self) -> int:
        """The most tokens that a reply may have. A change holds from the next reply on."""
        return self._reader.max_new_tokens

    @max_new_tokens.setter
    def max_new_tokens(self, value: int) -> None:
        if value < 1:
            raise ValueError(f"max_new_tokens is at least 1: {value}")
        if value > self.max_new_tokens_limit:
            raise ValueError(
                f"context.max_tokens {self._context.cache.max_tokens} is too small for replies of {value} tokens: two "
                f"of them, the system prompt ({self.model.template.num_system_tokens} tokens), the instruction "
                "and a frame must fit"
            )
        self._reader.max_new_tokens = value

    @property
    def max_new_tokens_limit(self) -> int:
        """The largest max_new_tokens that the context has room for."""
        return self._context.longest_exchange - 1

    @property
    def instruction(self) -> str | None:
        """The standing instruction, or None."""
        return self._context.instruction

    def instruct(self, text: str | None) -> None:
        """Give the stream a standing instruction, which says what the assistant is there for.

        It is read once, with the next frame or query, and is not answered. It stays in the context like the system
        prompt and is read again after `reset()`. A new instruction replaces the earlier one, which is forgotten like
        any other text. None withdraws the instruction.

        Raises:
            ValueError: The instruction is empty, or too long for the context.
        """
        instruction = None if text is None else clean_user_text(text)
        if instruction == self.instruction:
            return
        length, context = self._context.instruction_length(instruction), self._context
        waiting = (context.query_length(query) + self.max_new_tokens for query in self._queries)
        most = context.longest_instruction(max([self.max_new_tokens + 1, *waiting]))
        if length > most and instruction is not None:
            raise ValueError(f"the instruction has {length} tokens; with this context it may have {max(most, 0)}")
        context.instruct(instruction)

    # Queries.

    def ask(self, text: str, stamp: float, query_id: str = "", request: Any = None) -> None:
        """Queue a query. It is answered when the stream reaches `stamp` (seconds).

        Args:
            text: The query.
            stamp: Stream time from which on it may be answered, in seconds.
            query_id: A name for `withdraw` and the events of the answer.
            request: Any object. The events of the answer carry it.

        Raises:
            ValueError: The query is empty, its stamp is not a number, or it is too long for the context.
            SessionBrokenError: An earlier step has failed.
        """
        self._context.guard.check()
        query = Query(clean_user_text(text), _finite(stamp), query_id, request)
        length, most = self._context.query_length(query), self._context.longest_exchange - self.max_new_tokens
        if length > most:
            raise ValueError(f"the query has {length} tokens; with this context it may have {most}")
        self._queries.put(query)

    def withdraw(self, query_id: str) -> bool:
        """Take back waiting queries with this id. Returns whether there was one."""
        return self._queries.withdraw(query_id)

    def answer(self, stamp: float) -> Iterator[PartialReply | Utterance]:
        """Answer the queries stamped at or before `stamp` (seconds) now, without waiting for a frame."""
        self._context.guard.check()
        yield from self._reader.answer(stamp)

    def stop_reply(self) -> None:
        """Close the reply in progress. Call this between two events; its utterance comes next, marked truncated.

        After a `FrameDecision` the reply that follows counts as in progress: it ends without a token.
        """
        self._reader.stop_reply()

    # Frames.

    def observe(self, frame: Tensor | np.ndarray, stamp: float) -> list[Utterance]:
        """Read one frame. Returns the utterances that it leads to.

        Args:
            frame: uint8 RGB [3, H, W] or [H, W, 3], any size.
            stamp: Seconds. It never goes back within a stream.

        Raises:
            ValueError: The frame is of another type, or the stamp goes back. Nothing was read.
            NonFiniteError: The model gave a value that is not finite.
            SessionBrokenError: An earlier step has failed.
        """
        return [event for event in self.observe_events(frame, stamp) if isinstance(event, Utterance)]

    def observe_many(self, frames: Frames, stamps: Sequence[float]) -> list[Utterance]:
        """Read frames that have been waiting. The result is the same as one by one, and comes faster.

        If an error may end the stream in the middle, `observe_embeds` gives each utterance before the error.

        Args:
            frames: T frames as for `observe`, all of one size, or a sequence of frames of different sizes.
            stamps: T seconds.

        Raises:
            ValueError, NonFiniteError, SessionBrokenError: As `observe`.
        """
        self._context.guard.check()
        self._check_stamps(stamps, len(frames))
        utterances: list[Utterance] = []
        start = 0
        for embeds in embed_ahead(self.model, frames, MAX_FRAMES_PER_PASS):
            events = self.observe_embeds(embeds, stamps[start : start + len(embeds)])
            utterances += [event for event in events if isinstance(event, Utterance)]
            start += len(embeds)
        return utterances

    def observe_events(self, frame: Tensor | np.ndarray, stamp: float, may_speak: MaySpeak = True) -> Iterator[Event]:
        """Read one frame as `observe` does, and yield an event per step, so that replies can be shown as they grow."""
        yield from self.observe_embeds(embed(self.model, [frame]), [stamp], may_speak)

    def observe_embeds(
        self,
        embeds: Tensor,
        stamps: Sequence[float],
        may_speak: MaySpeak = True,
        frames: Sequence[Any] | None = None,
    ) -> Iterator[Event]:
        """Read frames that are encoded already, several in one forward where they have been waiting.

        The generator may be closed at any event. Frames behind that event were not read.

        Args:
            embeds: Decoder embeddings [T, n, d_model].
            stamps: T seconds.
            may_speak: Whether a frame may lead to proactive speech. If not, its decision is silence. A function is
                called with the stamp of each frame, in order, after the events of earlier frames were yielded.
            frames: T objects. `FrameDecision.frame` is the one of its frame.

        Raises:
            ValueError: Another shape, another number of stamps or frames, or a stamp that goes back.
            NonFiniteError, SessionBrokenError: As `observe`.
        """
        self._context.guard.check()
        self._check_embeds(embeds, stamps, frames)
        waiting = WaitingFrames(embeds, stamps, frames, self._gate)
        yield from self._reader.read(waiting, may_speak)

    def reset(self) -> list[Query]:
        """Forget the stream and erase its memory. The instruction stays.

        Returns:
            The queries that were waiting, which are forgotten as well. The first is the one whose answer failed, if an
            error ended it.
        """
        failed = self._reader.failed_query
        self._context.clear()
        self._reader.begin_stream()
        if self._gate is not None:
            self._gate.reset()
        return [*([failed] if failed else []), *self._queries.clear()]

    @property
    def state(self) -> StreamState:
        """What the stream holds now."""
        context, reader = self._context, self._reader
        return describe_state(
            context.cache, reader.frames_read, reader.frames_skipped, len(self._queries), context.guard.broken
        )

    def stream(self, frame: Tensor | np.ndarray, stamp: float, may_speak: MaySpeak = True) -> Iterator[Event]:
        """Do the same as `observe_events`. Deprecated."""
        warnings.warn("StreamSession.stream is now observe_events", DeprecationWarning, stacklevel=2)
        return self.observe_events(frame, stamp, may_speak)

    def stream_embeds(self, embeds: Tensor, stamps: Sequence[float], may_speak: MaySpeak = True) -> Iterator[Event]:
        """Do the same as `observe_embeds`. Deprecated."""
        warnings.warn("StreamSession.stream_embeds is now observe_embeds", DeprecationWarning, stacklevel=2)
        return self.observe_embeds(embeds, stamps, may_speak)

    def _check_embeds(self, embeds: Tensor, stamps: Sequence[float], frames: Sequence[Any] | None) -> None:
        num_tokens, width = self.model.config.frame_num_tokens, self.model.llm.get_input_embeddings().embedding_dim
        if embeds.ndim != 3 or list(embeds.shape[1:]) != [num_tokens, width]:
            raise ValueError(f"expected embeddings [T, {num_tokens}, {width}], got {list(embeds.shape)}")
        if frames is not None and len(frames) != len(embeds):
            raise ValueError(f"{len(embeds)} embeddings but {len(frames)} frames")
        self._check_stamps(stamps, len(embeds))

    def _check_stamps(self, stamps: Sequence[float], num_frames: int) -> None:
        if len(stamps) != num_frames:
            raise ValueError(f"{num_frames} frames but {len(stamps)} stamps")
        last = -math.inf if self._reader.stamp is None else self._reader.stamp
        for stamp in stamps:
            if _finite(stamp) < last:
                raise ValueError(f"the stamp {stamp} s lies before {last} s, which was read already; reset the stream")
            last = stamp


def _finite(stamp: float) -> float:
    if not math.isfinite(stamp):
        raise ValueError(f"a stamp is a time in seconds: {stamp}")
    return stamp
