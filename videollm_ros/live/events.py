# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a stream yields while it is read: a decision per frame, replies token by token, finished utterances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class FrameDecision:
    """A frame was read, and this is what the model made of it."""

    stamp: float
    """Of the frame, in seconds."""
    speak_probability: float
    """1 - p(silence)."""
    threshold: float
    """Silence needed at least this probability."""
    speaks: bool
    """Whether an unasked reply follows."""


@dataclass(frozen=True)
class PartialReply:
    """A reply has grown by one token."""

    stamp: float
    query: str | None
    query_id: str
    speak_probability: float
    token_ids: Sequence[int]
    """The reply so far; the list goes on growing with the reply."""
    _tokenizer: PreTrainedTokenizerBase = field(repr=False, compare=False)

    @property
    def text(self) -> str:
        """The reply so far as text, without a last letter that lacks some of its bytes. Decoded when read."""
        return decode_reply(self._tokenizer, self.token_ids).rstrip("\ufffd")


@dataclass(frozen=True)
class Utterance:
    """A finished reply."""

    text: str
    stamp: float
    """Of the frame that made the model speak; for an answer the last frame read, or the query's own before any."""
    query: str | None
    """The query that it answers, None when proactive."""
    speak_probability: float
    """1 - p(silence) on that frame; 1 for an answer."""
    token_ids: tuple[int, ...]
    truncated: bool
    """Whether it was cut off, by `max_new_tokens` or by `stop_reply`."""
    query_id: str = ""


def decode_reply(tokenizer: PreTrainedTokenizerBase, token_ids: Sequence[int]) -> str:
    """Reply tokens as text, without the space that follows `Assistant:`."""
    return tokenizer.decode(list(token_ids), skip_special_tokens=True).strip()
