# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
r"""A streaming dialogue as token ids and training labels, and the same words piece by piece for inference.

    <bos>SYSTEM\n
    \nUser: text
    \n[FFF,FFF,FFF]            a stream turn of three frames; F stands for one frame token, <v>
    \nAssistant: text<eos>

Silence is the decision to say nothing after a frame. Its token is the interval (live1+) or `<eos>` (live1). After a
frame that is followed by a reply, the target is the first token of `]\nAssistant:` (the paper's streaming EOS
prediction).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from transformers import PreTrainedTokenizerBase

from videollm_ros.live.config import LiveConfig
from videollm_ros.live.turns import (
    ASSISTANT_PREFIX,
    BETWEEN,
    CLOSE_STREAM,
    Turn,
    clean_user_text,
    is_instruction,
    text_of,
    turn_of,
)

__all__ = ["FRAME_TOKEN", "IGNORED", "DialogueTemplate", "Turn", "clean_user_text"]

IGNORED = -100
"""The label of a position where nothing is learned."""

FRAME_TOKEN = "<v>"

_BEFORE_ANSWER = BETWEEN[Turn.USER, Turn.ASSISTANT].rstrip(" ")


@dataclass(frozen=True)
class _Piece:
    """A run of text, or one token if `token_id` is given. `learned` says whether it is a training target."""

    text: str
    learned: bool = False
    token_id: int | None = None
    silence_after: bool = False  # live1: the target after this token is silence, which is not read back


class DialogueTemplate:
    """Turns conversations into what the decoder reads.

    Text from outside is tokenized with special tokens off, and a user's text loses its line breaks. So it can neither
    become a control token nor open a turn.

    Raises:
        ValueError: The tokenizer has no `<eos>`, or makes several tokens of the interval.
    """

    def __init__(self, config: LiveConfig, tokenizer: PreTrainedTokenizerBase, frame_token_id: int) -> None:
        """Tokenize what is read again and again.

        Args:
            config: Frame tokens, interval and system prompt.
            tokenizer: A fast tokenizer.
            frame_token_id: The id just past the decoder's embedding table, so that no text can give it.
        """
        if tokenizer.eos_token_id is None:
            raise ValueError("the tokenizer has no <eos> token, which closes every reply")
        if not tokenizer.is_fast:
            raise ValueError(
                f"{type(tokenizer).__name__} cannot say which letters a token covers; "
                "the checkpoint needs a tokenizer.json"
            )
        self.config = config
        self.tokenizer = tokenizer
        self.frame_token_id = frame_token_id
        self.eos_token_id: int = tokenizer.eos_token_id
        interval = self._ids(config.frame_token_interval)
        if len(interval) > 1:
            raise ValueError(
                f"the interval {config.frame_token_interval!r} must be one token of the tokenizer, "
                f"which makes {len(interval)} of it: {interval}"
            )
        self.interval_ids: list[int] = interval
        self.silence_token_id: int = interval[0] if interval else self.eos_token_id
        self._before_frame: dict[Turn, list[int]] = {
            turn: self._before(turn) + self._ids(self._opening(turn, Turn.STREAM))
            for turn in Turn
            if turn is not Turn.STREAM
        }
        self._before_frame[Turn.STREAM] = self.interval_ids
        self._before_reply = self._ids(BETWEEN[Turn.STREAM, Turn.ASSISTANT].rstrip(" "))
        openings = zip(self.before_frame(Turn.SYSTEM), self.before_answer(Turn.SYSTEM, "?"), strict=False)
        self.num_system_tokens: int = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], openings))

    # Training: a whole dialogue at once.

    def encode(self, conversation: Sequence[Mapping[str, Any]]) -> tuple[list[int], list[int]]:
        """Return token ids and labels of a conversation, both [L]. labels[i] is the target after position i or -100.

        Args:
            conversation: Messages. A user message with `"answer": false` is a standing instruction: it is encoded like
                a query, and no reply may follow it directly.

        Raises:
            ValueError: A role is unknown, a text is empty, a stream has no frames, the frames to learn are not a
                number, or turns are in an impossible order. The error names the number of the message.
        """
        input_ids: list[int] = []
        labels: list[int] = []

        def append(token_id: int, learned: bool) -> None:
            if learned and labels:
                labels[-1] = token_id
            input_ids.append(token_id)
            labels.append(IGNORED)

        texts: list[_Piece] = []
        for piece in [*self._pieces(conversation), _Piece("", token_id=-1)]:
            if piece.token_id is None:
                texts.append(piece)
                continue
            for token_id, source in self._tokenize(texts):
                append(token_id, source.learned)
            texts.clear()
            if piece.token_id >= 0:
                append(piece.token_id, piece.learned)
                if piece.silence_after:
                    labels[-1] = self.silence_token_id
        return input_ids, labels

    def render(self, conversation: Sequence[Mapping[str, Any]]) -> str:
        """Return the conversation as one string, for people to read."""
        return "".join(piece.text for piece in self._pieces(conversation))

    # Inference: what is read when the stream goes from one turn to the next.

    def before_frame(self, turn: Turn) -> list[int]:
        """Return the ids between what was read last and a frame: the interval, or what opens a stream turn."""
        return self._before_frame[turn]

    def before_reply(self) -> list[int]:
        """Return the ids that close the stream and open a proactive reply."""
        return self._before_reply

    def before_answer(self, turn: Turn, query: str) -> list[int]:
        """Return the ids of a user's query and of the opening of its answer.

        Raises:
            ValueError: The query is empty.
        """
        text = self._opening(turn, Turn.USER) + clean_user_text(query) + _BEFORE_ANSWER
        return self._before(turn) + self._ids(text)

    def instruction(self, turn: Turn, text: str, query: str | None = None) -> tuple[list[int], int]:
        """Return the ids of a standing instruction with what follows it: the opening of a frame, or a query.

        A token may span the end of the instruction, so both are tokenized together.

        Returns:
            The ids, and how many of them belong to the instruction. The opening of a frame does, a query does not.

        Raises:
            ValueError: The instruction or the query is empty.
        """
        instruction = _Piece(self._opening(turn, Turn.USER) + clean_user_text(text))
        if query is None:
            pieces = [_Piece(instruction.text + BETWEEN[Turn.USER, Turn.STREAM])]
        else:
            pieces = [instruction, _Piece(BETWEEN[Turn.USER, Turn.USER] + clean_user_text(query) + _BEFORE_ANSWER)]
        before, tokens = self._before(turn), self._tokenize(pieces)
        num_instruction = len(before) + sum(source is pieces[0] for _, source in tokens)
        return before + [token_id for token_id, _ in tokens], num_instruction

    def _before(self, turn: Turn) -> list[int]:
        """Return the control token that stands between a turn and the text that opens the next."""
        if turn is Turn.SYSTEM:
            return self._bos()
        return [self.eos_token_id] if turn is Turn.ASSISTANT else []

    def _opening(self, turn: Turn, following: Turn) -> str:
        system_prompt = self.config.system_prompt if turn is Turn.SYSTEM else ""
        return system_prompt + BETWEEN[turn, following]

    # The grammar.

    def _pieces(self, conversation: Sequence[Mapping[str, Any]]) -> Iterator[_Piece]:
        system_prompt = self.config.system_prompt
        messages = list(enumerate(conversation))
        if messages and messages[0][1].get("role") == "system":
            system_prompt = text_of(*messages.pop(0))
        for bos in self._bos():
            yield _Piece(str(self.tokenizer.bos_token), token_id=bos)
        yield _Piece(system_prompt)

        turn, instructed = Turn.SYSTEM, False
        for position, (number, message) in enumerate(messages):
            following = turn_of(number, message)
            if (turn, following) not in BETWEEN and not (turn is following is Turn.STREAM):
                raise ValueError(f"message {number}: {following.value} cannot follow {turn.value}")
            if instructed and following is Turn.ASSISTANT:
                raise ValueError(f"message {number}: no reply can follow an instruction, which has answer false")
            if following is Turn.STREAM:
                if turn is not Turn.STREAM:
                    yield _Piece(BETWEEN[turn, following])
                next_turn = turn_of(*messages[position + 1]) if position + 1 < len(messages) else None
                yield from self._frames(number, message, next_turn)
            elif following is Turn.USER:
                yield _Piece(BETWEEN[turn, following] + clean_user_text(text_of(number, message)))
            else:
                yield from self._reply(turn, text_of(number, message), bool(message.get("learn", False)))
            turn, instructed = following, is_instruction(number, message)

    def _reply(self, turn: Turn, text: str, learned: bool) -> Iterator[_Piece]:
        # The close of the stream is the target of the last frame and was given with it.
        yield _Piece("\n" if turn is Turn.USER else "")
        yield _Piece(ASSISTANT_PREFIX + text, learned)
        yield _Piece(str(self.tokenizer.eos_token), learned, self.eos_token_id)

    def _frames(self, number: int, message: Mapping[str, Any], next_turn: Turn | None) -> Iterator[_Piece]:
        num_frames = message.get("num_frames")
        if not isinstance(num_frames, int) or num_frames < 1:
            raise ValueError(f"message {number}: a stream turn needs num_frames >= 1, not {num_frames!r}")
        learn = message.get("learn", False)
        if not isinstance(learn, int) or learn < 0:
            raise ValueError(f"message {number}: learn is true, false or a number of frames, not {learn!r}")
        num_learned = num_frames if learn is True else learn
        for index in range(num_frames):
            learned = index < num_learned
            silent = index + 1 < num_frames or next_turn is Turn.STREAM
            tokens = [_Piece(FRAME_TOKEN, token_id=self.frame_token_id)] * self.config.frame_num_tokens
            if not silent:
                yield from tokens
                # A user may speak at any time: only a reply makes the close of the stream the model's decision.
                if next_turn is Turn.ASSISTANT:
                    yield _Piece(CLOSE_STREAM, learned)
            elif self.interval_ids:
                yield from tokens
                yield _Piece(self.config.frame_token_interval, learned, self.silence_token_id)
            else:
                yield from tokens[:-1]
                yield _Piece(FRAME_TOKEN, token_id=self.frame_token_id, silence_after=learned)

    # Tokens.

    def _bos(self) -> list[int]:
        return [] if self.tokenizer.bos_token_id is None else [self.tokenizer.bos_token_id]

    def _ids(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"] if text else []

    def _tokenize(self, pieces: Sequence[_Piece]) -> list[tuple[int, _Piece]]:
        """Tokenize adjoining texts as one, since a token may span them. Each token comes with where it starts."""
        text = "".join(piece.text for piece in pieces)
        if not text:
            return []
        sources = [piece for piece in pieces for _ in piece.text]
        encoded = self.tokenizer(text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True)
        return [
            (token_id, sources[start])
            for token_id, (start, _) in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
        ]
