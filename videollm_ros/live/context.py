# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the decoder has read of one stream, turn by turn, and what it predicts for the next frame or word."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from videollm_ros.live.cache import context_size
from videollm_ros.live.errors import NonFiniteError
from videollm_ros.live.eviction import ContextLimits, SegmentKind, choose_evictions
from videollm_ros.live.graphs import make_decoder
from videollm_ros.live.model import LiveModel
from videollm_ros.live.queries import Query
from videollm_ros.live.speak_rule import SilencePrediction, predict_silence
from videollm_ros.live.speculation import SpeculativeFrames
from videollm_ros.live.steps import Step, StepGuard
from videollm_ros.live.template import Turn
from videollm_ros.live.token_embeds import TokenEmbeds

_CLOSING_TOKENS = 4
"""Room for what closes a reply and opens the next turn: a token that is still pending, `<eos>` and `\\n[`."""

_NOT_FINITE = (
    "a frame, the weights or the data type of the model gave values that are not finite: call reset(), and if it "
    "happens again, use another dtype or another checkpoint"
)


class StreamContext:
    """Owns the decoder and its cache, and tracks which tokens belong to which segment.

    The stream is in one turn at a time. What is read next opens the turn that follows. The newest token of a reply is
    read together with what comes after it, so a reply can be left at any time.

    Raises:
        ValueError: See `context_size` and `Rotary`.
    """

    def __init__(self, model: LiveModel, limits: ContextLimits, on_step: Callable[[Step], None] | None = None) -> None:
        """Allocate the cache and prepare the steps that recur.

        Args:
            model: The model. Its weights are shared.
            limits: How much the stream remembers.
            on_step: Called after each step, for timings.
        """
        self._model, self._template = model, model.template
        limits = replace(limits, max_tokens=context_size(limits, model.llm.config, model.config.max_positions))
        self._decoder = make_decoder(model.llm, limits, self._step_lengths())
        self.cache = self._decoder.cache
        self.guard = StepGuard(on_step)
        before_frames = map(self._template.before_frame, (Turn.STREAM, Turn.ASSISTANT))
        self._embed_ids = TokenEmbeds(model, [*before_frames, self._template.before_reply()])
        after_reply, after_frame = (self._template.before_answer(turn, "?") for turn in (Turn.ASSISTANT, Turn.STREAM))
        self._longer_after_reply = max(0, len(after_reply) - len(after_frame))  # a query costs the <eos> more there
        self._turn = Turn.SYSTEM
        self._pending: list[int] = []  # the newest token of a reply, which was not read yet
        self._speculative: SpeculativeFrames | None = None
        self.instruction: str | None = None
        """The standing instruction. Set it with `instruct`."""
        self._instruction_is_read = False

    def clear(self) -> None:
        """Forget the stream and erase the cache. The instruction is read again."""
        if self._speculative is not None:
            self._speculative.discard()
        self.cache.clear()
        self._turn = Turn.SYSTEM
        self._pending = []
        self._instruction_is_read = False
        self.guard.broken = False

    # Room, and what must fit into it.

    @property
    def longest_exchange(self) -> int:
        """Return how many tokens one query and its answer may have together.

        They must fit beside the exchange before them, which may still be growing and is not evicted.
        """
        return (self._free_tokens - self.instruction_length(self.instruction)) // 2 - _CLOSING_TOKENS

    def longest_instruction(self, exchange: int) -> int:
        """Return how many tokens an instruction may have, if exchanges of `exchange` tokens must stay possible."""
        newest = self.cache.segments[-1] if self.cache.segments else None
        if newest is not None and newest.kind is SegmentKind.TEXT:
            exchange = max(exchange, newest.length - _CLOSING_TOKENS)
        return self._free_tokens - 2 * (exchange + _CLOSING_TOKENS)

    @property
    def _free_tokens(self) -> int:
        """Return what the system prompt, a frame and what closes a reply leave of the context."""
        fixed = self._template.num_system_tokens + self._model.config.frame_num_tokens + _CLOSING_TOKENS
        return self.cache.max_tokens - fixed

    def instruction_length(self, instruction: str | None) -> int:
        """Return the tokens that an instruction takes."""
        return 0 if instruction is None else len(self._template.instruction(Turn.ASSISTANT, instruction)[0])

    def query_length(self, query: Query) -> int:
        """Return the tokens that a query takes between two turns, at most."""
        return len(query.ids_after(Turn.STREAM, self._template)) + self._longer_after_reply

    def _make_room(self, needed: int, now: float) -> None:
        self.guard.check()
        cache = self.cache
        evicted = choose_evictions(cache.segments, cache.limits, needed, now)
        if evicted:
            with self.guard.step("eviction", sum(cache.segments[index].length for index in evicted)):
                cache.evict(evicted)

    def instruct(self, instruction: str | None) -> None:
        """Replace the standing instruction. The earlier one becomes text that can be evicted.

        An instruction is read together with what the stream reads next.
        """
        self.rollback()
        for segment in self.cache.segments:
            if segment.kind is SegmentKind.INSTRUCTION:
                segment.kind = SegmentKind.TEXT
        self.instruction, self._instruction_is_read = instruction, False

    # Frames.

    def make_room_for_frames(self, now: float) -> int:
        """Make room for at least one frame. Returns how many frames fit then."""
        self.rollback()
        num_tokens = self._model.config.frame_num_tokens
        opening, _ = self._opening()
        first = len(opening) + num_tokens
        self._make_room(first, now)
        return 1 + (self.cache.room - first) // (num_tokens + len(self._template.interval_ids))

    @torch.inference_mode()
    def read_frames(self, embeds: Tensor, stamps: Sequence[float]) -> SpeculativeFrames:
        """Read frames [K, n, d_model], for which there is room, as if the model stayed silent after each.

        A frame that is not finite spoils the prediction of the frames before it in the same forward. Then only the
        first frame is read.

        Returns:
            The K frames or fewer. All of them are speculative: call `accept` or `rollback`.

        Raises:
            NonFiniteError: The prediction of the first frame alone is not finite.
        """
        opening, num_instruction = self._opening()
        num_frames, frame_tokens = embeds.shape[:2]
        num_tokens = len(opening) + num_frames * frame_tokens + (num_frames - 1) * len(self._template.interval_ids)
        with self.guard.step("frames", num_tokens):
            predictions = self._predict(opening, embeds)
            if not _are_finite(predictions) and len(embeds) > 1:
                predictions = self._predict(opening, embeds[:1])
            if not _are_finite(predictions):
                raise NonFiniteError(
                    f"the probability of silence at {stamps[0]} s is {predictions[0].p_silence}; {_NOT_FINITE}"
                )
            self._commit_opening(opening, num_instruction, stamps[0])
            for index, stamp in enumerate(stamps[: len(predictions)]):
                if index:
                    self.cache.extend_last(len(self._template.interval_ids))
                self.cache.append(SegmentKind.FRAME, frame_tokens, stamp)
            self._turn = Turn.STREAM
        self._speculative = SpeculativeFrames(self.cache, predictions, frame_tokens)
        return self._speculative

    def rollback(self) -> None:
        """Cut the frames off the cache that were read and not accepted."""
        if self._speculative is not None:
            self._speculative.rollback()

    def _predict(self, opening: list[int], embeds: Tensor) -> list[SilencePrediction]:
        """Read frames behind `opening` and an interval behind each but the last. Registers nothing."""
        interval = self._embed_ids(self._template.interval_ids)
        pieces = [self._embed_ids(opening)]
        for frame in embeds:
            pieces += [frame, interval]
        if len(interval):
            pieces.pop()
        num_tokens, last_tokens = embeds.shape[1], None
        if len(embeds) > 1:
            step = num_tokens + len(interval)
            last_tokens = len(opening) + num_tokens - 1 + step * torch.arange(len(embeds), device=embeds.device)
        fed = torch.cat(pieces)
        predictions = predict_silence(self._decoder.read(fed, at=last_tokens), self._template.silence_token_id)
        if not _are_finite(predictions):
            self.cache.erase_behind(len(fed))
        return predictions

    # Replies.

    def begin_reply(self, query: Query | None, max_new_tokens: int, stamp: float) -> tuple[int, int]:
        """Make room for a reply and open its turn, after the query that it answers, if any.

        Returns:
            The first token of the reply, and how many tokens it may have.

        Raises:
            NonFiniteError: The logits are not finite.
        """
        self.rollback()
        opening, num_instruction = self._opening(query, proactive=query is None)
        num_system_tokens = self._template.num_system_tokens if self._turn is Turn.SYSTEM else 0
        num_text_tokens = len(opening) - (num_instruction or num_system_tokens)
        limit = max(1, min(max_new_tokens, self.longest_exchange - num_text_tokens))
        self._make_room(len(opening) + limit + _CLOSING_TOKENS, stamp)
        with self.guard.step("prompt", len(opening)):
            token = self.read_ids(opening)
            self._commit_opening(opening[: len(opening) - num_text_tokens], num_instruction, stamp)
            self.cache.append(SegmentKind.TEXT, num_text_tokens, stamp)
            self._turn = Turn.ASSISTANT
        return token, limit

    def set_pending(self, token: int) -> None:
        """Make `token` the newest of the reply. It is read with what comes next."""
        self._pending = [token]

    def next_token(self) -> int:
        """Read the newest token of the reply. Returns the most likely one to follow.

        Raises:
            NonFiniteError: The logits are not finite.
        """
        with self.guard.step("word", 1):
            token = self.read_ids(self._pending)
            self.cache.extend_last(len(self._pending))
            self._pending = []
        return token

    # Tokens.

    def read_ids(self, token_ids: list[int]) -> int:
        """Read tokens that the caller registers. Returns the most likely next one.

        Raises:
            NonFiniteError: The logits are not finite.
        """
        logit, token = self._decoder.read(self._embed_ids(token_ids))[-1].max(-1)
        if not math.isfinite(logit):
            raise NonFiniteError(f"the largest logit of the next word is {float(logit)}; {_NOT_FINITE}")
        return int(token)

    def _opening(self, query: Query | None = None, proactive: bool = False) -> tuple[list[int], int]:
        """Return the ids to read before a frame, an answer or a proactive reply.

        Returns:
            The ids, and how many of them belong to an instruction that is read with them, with all before it.
        """
        template, turn = self._template, self._turn
        if self.instruction is not None and not self._instruction_is_read and not proactive:
            ids, num_instruction = template.instruction(turn, self.instruction, query.text if query else None)
            return self._pending + ids, len(self._pending) + num_instruction
        if query is not None:
            return self._pending + query.ids_after(turn, template), 0
        return self._pending + (template.before_reply() if proactive else template.before_frame(turn)), 0

    def _commit_opening(self, opening: Sequence[int], num_instruction: int, stamp: float) -> None:
        """Register tokens ahead of a frame or a query. They belong to what stands before them."""
        length = len(opening)
        if self._turn is Turn.SYSTEM and not self.cache.segments:
            system = self._template.num_system_tokens if num_instruction else length
            self.cache.append(SegmentKind.SYSTEM, system, -math.inf)
            length -= system
        elif num_instruction:
            closing = len(self._pending) + (self._turn is Turn.ASSISTANT)
            self.cache.extend_last(closing)
            length -= closing
        if num_instruction:
            self.cache.append(SegmentKind.INSTRUCTION, length, stamp)
            self._instruction_is_read = True
        elif length:
            self.cache.extend_last(length)
        self._pending = []

    def _step_lengths(self) -> set[int]:
        """Return the tokens of the steps that recur.

        They are a word of a reply, its opening, a frame after silence, a frame after a reply, and one after a reply
        that was cut off, whose newest token is still pending.
        """
        silence, reply = (len(self._template.before_frame(turn)) for turn in (Turn.STREAM, Turn.ASSISTANT))
        num_tokens = self._model.config.frame_num_tokens
        return {1, len(self._template.before_reply()), *(n + num_tokens for n in (silence, reply, reply + 1))}


def _are_finite(predictions: Sequence[SilencePrediction]) -> bool:
    return all(math.isfinite(prediction.p_silence) for prediction in predictions)
