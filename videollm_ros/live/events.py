# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a session yields while it reads a stream: a decision per frame, growing replies, finished utterances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class FrameDecision:
    """Reports a frame that was read, and what the model decided after it."""

    stamp: float
    """Stamp of the frame, in seconds."""
    speak_probability: float
    """1 - p(silence)."""
    threshold: float
    """Threshold of the rule that decided."""
    speaks: bool
    """Whether a proactive reply follows."""
    frame: Any = field(default=None, repr=False, compare=False)
    """The object that was given with the frame, or None."""
    wants_to_speak: bool = False
    """Whether the rule was to speak. If `speaks` is false, `may_speak` forbade it, or a query was due."""


@dataclass(frozen=True)
class PartialReply:
    """Reports that a reply has grown by one token."""

    stamp: float
    """Stamp of the utterance that the reply will become, in seconds."""
    query: str | None
    """The query that it answers. None if it is proactive."""
    query_id: str
    """The id that was given to `ask`."""
    speak_probability: float
    """1 - p(silence) of the frame that made it speak; 1 for an answer."""
    token_ids: Sequence[int]
    """The reply so far. The list goes on growing with the reply."""
    _tokenizer: PreTrainedTokenizerBase = field(repr=False, compare=False)
    request: Any = field(default=None, repr=False, compare=False)
    """The object that was given to `ask`, or None."""

    @property
    def text(self) -> str:
        """Decode the reply so far, without an incomplete UTF-8 character at its end."""
        return decode_reply(self._tokenizer, self.token_ids).rstrip("\ufffd")


@dataclass(frozen=True)
class Utterance:
    """Reports a finished reply."""

    text: str
    """What was said. It may be empty."""
    stamp: float
    """Stamp of the frame that made the model speak. For an answer it is the last frame read, or before any frame the
    query's own stamp. In seconds."""
    query: str | None
    """The query that it answers. None if it is proactive."""
    speak_probability: float
    """1 - p(silence) of that frame; 1 for an answer."""
    token_ids: tuple[int, ...]
    """The tokens of the reply, without `<eos>`."""
    truncated: bool
    """Whether `max_new_tokens`, `stop_reply` or `reset` cut it off."""
    query_id: str = ""
    """The id that was given to `ask`."""
    request: Any = field(default=None, repr=False, compare=False)
    """The object that was given to `ask`, or None."""


Event = FrameDecision | PartialReply | Utterance


def decode_reply(tokenizer: PreTrainedTokenizerBase, token_ids: Sequence[int]) -> str:
    """Decode the tokens of a reply, without the space that follows `Assistant:`."""
    return str(tokenizer.decode(list(token_ids), skip_special_tokens=True)).strip()
