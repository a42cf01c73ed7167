# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the decoder has read of one stream, turn by turn, and what it makes of the next frame or word."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from videollm_ros.live.cache import ContextLimits, Kind
from videollm_ros.live.graphs import make_decoder
from videollm_ros.live.model import LiveModel
from videollm_ros.live.template import Turn

_CLOSING_TOKENS = 4
"""Room for what closes a reply and opens the next turn: `<eos>\\n[` and a token that was not fed yet."""


class Reading(NamedTuple):
    """What the decoder makes of a frame."""

    p_silence: float
    silence_is_best: bool
    """Whether silence is the arg max."""


class StreamContext:
    """Feeds the decoder and keeps account of what is in its cache. The only one that touches either.

    The stream is in one turn at a time; what is fed next opens the turn that follows. A reply's newest token is fed
    with whatever comes after it, so that a reply may be left at any time.

    Raises:
        ValueError: see `StreamCache`.
    """

    def __init__(self, model: LiveModel, limits: ContextLimits) -> None:
        self._model, self._template = model, model.template
        self._decoder = make_decoder(model.llm, limits, self._step_lengths())
        self.cache = self._decoder.cache
        turns = (Turn.STREAM, Turn.ASSISTANT)
        self._recurring = {
            tuple(ids) for ids in [*map(self._template.before_frame, turns), self._template.before_reply()]
        }
        self._embedded: dict[tuple[int, ...], Tensor] = {}
        embedding = model.llm.get_input_embeddings()
        self._table = embedding.weight.data if type(embedding) is torch.nn.Embedding else None  # others may scale it
        self._turn = Turn.SYSTEM
        self._unfed: list[int] = []  # the newest token of a reply
        self.undecided = 0
        """Newest frames in the cache, which were read in advance."""

    def clear(self) -> None:
        """Forget the stream."""
        self.cache.clear()
        self._turn = Turn.SYSTEM
        self._unfed = []
        self.undecided = 0

    @property
    def longest_exchange(self) -> int:
        """So many tokens of query and answer that they fit beside the newest exchange, which eviction leaves alone."""
        fixed = self._template.num_system_tokens + self._model.config.frame_num_tokens + _CLOSING_TOKENS
        return (self.cache.max_tokens - fixed) // 2 - _CLOSING_TOKENS

    def query_length(self, query: str) -> int:
        """Tokens that a query takes between two turns."""
        return len(self._template.before_answer(Turn.ASSISTANT, query))

    # Frames.

    def make_room_for_frames(self, now: float) -> int:
        """Make room for a frame; how many fit then."""
        num_tokens = self._model.config.frame_num_tokens
        first = len(self._unfed) + len(self._template.before_frame(self._turn)) + num_tokens
        self.cache.make_room(first, now)
        return 1 + (self.cache.room - first) // (num_tokens + len(self._template.interval_ids))

    @torch.inference_mode()
    def read_frames(self, embeds: Tensor, stamps: Sequence[float]) -> list[Reading]:
        """Read frames [K, n, d], for which there is room, as if each were followed by silence: K are undecided then."""
        opening = self._unfed + self._template.before_frame(self._turn)
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
        logits = self._decoder.read(torch.cat(pieces), at=last_tokens)

        self._wrote(opening)
        for index, stamp in enumerate(stamps):
            if index:
                self.cache.extend(len(interval))
            self.cache.append(Kind.FRAME, num_tokens, stamp)
        self._turn = Turn.STREAM
        self.undecided = len(embeds)

        silence = logits.softmax(-1)[:, self._template.silence_token_id]
        is_best = logits.argmax(-1) == self._template.silence_token_id
        readings = torch.stack((silence, is_best.float()), dim=1).tolist()  # one copy to the host
        return [Reading(p_silence, bool(best)) for p_silence, best in readings]

    def decide_oldest(self) -> None:
        """One frame less is undecided: the oldest of them."""
        self.undecided -= 1

    def forget_undecided(self) -> None:
        """Cut off the frames read in advance, and the interval that followed the frame before them."""
        if self.undecided:
            self.cache.drop_last(self.undecided, last_length=self._model.config.frame_num_tokens)
            self.undecided = 0

    # Replies.

    def open_reply(self, query: str | None, max_new_tokens: int, stamp: float) -> tuple[int, int]:
        """Make room for a reply and open its turn, after the query that it answers, if any.

        Returns:
            the reply's first token, and how many tokens it may have.
        """
        template = self._template
        opening = template.before_reply() if query is None else template.before_answer(self._turn, query)
        prompt_ids = self._unfed + opening
        num_system_tokens = self._template.num_system_tokens if self._turn is Turn.SYSTEM else 0
        num_text_tokens = len(prompt_ids) - num_system_tokens
        limit = max(1, min(max_new_tokens, self.longest_exchange - num_text_tokens))
        self.cache.make_room(len(prompt_ids) + limit + _CLOSING_TOKENS, now=stamp)
        token = self.read_ids(prompt_ids)
        if num_system_tokens:
            self.cache.append(Kind.SYSTEM, num_system_tokens, stamp)
        self.cache.append(Kind.TEXT, num_text_tokens, stamp)
        self._turn, self._unfed = Turn.ASSISTANT, []
        return token, limit

    def keep(self, token: int) -> None:
        """Make `token` the reply's newest."""
        self._unfed = [token]

    def next_token(self) -> int:
        """Feed the reply's newest token; the most likely one to follow."""
        token = self.read_ids(self._unfed)
        self._wrote(self._unfed)
        return token

    # Tokens.

    def read_ids(self, token_ids: list[int]) -> int:
        """Feed tokens; the most likely next one. The caller says what segment they belong to."""
        return int(self._decoder.read(self._embed_ids(token_ids))[-1].argmax())

    def _wrote(self, token_ids: list[int]) -> None:
        """Tokens ahead of a frame or inside a reply belong to what stands before them."""
        if self._turn is Turn.SYSTEM and not self.cache.segments:
            self.cache.append(Kind.SYSTEM, len(token_ids), -math.inf)
        else:
            self.cache.extend(len(token_ids))
        self._unfed = []

    @torch.inference_mode()
    def _embed_ids(self, token_ids: Sequence[int]) -> Tensor:
        """[L, d]. The few sequences between turns are embedded once; a single token is a row of the table."""
        if len(token_ids) == 1 and self._table is not None:
            return self._table[token_ids[0] : token_ids[0] + 1]
        key = tuple(token_ids)
        embeds = self._embedded.get(key)
        if embeds is None:
            ids = torch.tensor(token_ids, dtype=torch.long, device=self._model.device)
            embeds = self._model.embed_ids(ids)
            if key in self._recurring:
                self._embedded[key] = embeds
        return embeds

    def _step_lengths(self) -> set[int]:
        """Tokens of the steps that recur: a word of a reply, its opening, a frame after silence, a frame after a reply,
        and one after a reply that was cut off, whose newest token is still to be fed."""
        silence, reply = (len(self._template.before_frame(turn)) for turn in (Turn.STREAM, Turn.ASSISTANT))
        num_tokens = self._model.config.frame_num_tokens
        return {1, len(self._template.before_reply()), *(n + num_tokens for n in (silence, reply, reply + 1))}
