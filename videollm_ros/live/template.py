# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A streaming dialogue as token ids and training labels, and the same words piece by piece for inference.

    <bos>SYSTEM\\n
    \\nUser: text
    \\n[FFF,FFF,FFF]            a stream turn of three frames; F stands for one frame token, <v>
    \\nAssistant: text<eos>

Silence, the decision to say nothing after a frame, is the interval token (live1+) or `<eos>` (live1); a frame
that a reply follows has the first token of `]\\nAssistant:` as its target (the paper's streaming EOS prediction).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import takewhile

from transformers import PreTrainedTokenizerBase

from videollm_ros.live.config import LiveConfig

IGNORED = -100
"""The label of a position where nothing is learned."""

FRAME_TOKEN = "<v>"


class Turn(Enum):
    """Whose turn the stream is in: what may come next depends on nothing else."""

    SYSTEM = "system"
    STREAM = "stream"
    USER = "user"
    ASSISTANT = "assistant"


# What stands between two turns. `{eos}` closes a reply; the second `\n` after the system prompt is its own.
_BETWEEN = {
    (Turn.SYSTEM, Turn.USER): "\n\nUser: ",
    (Turn.SYSTEM, Turn.STREAM): "\n\n[",
    (Turn.USER, Turn.USER): "\nUser: ",
    (Turn.USER, Turn.STREAM): "\n[",
    (Turn.USER, Turn.ASSISTANT): "\nAssistant: ",
    (Turn.STREAM, Turn.USER): "]\nUser: ",
    (Turn.STREAM, Turn.ASSISTANT): "]\nAssistant: ",
    (Turn.ASSISTANT, Turn.USER): "\nUser: ",
    (Turn.ASSISTANT, Turn.STREAM): "\n[",
}
_CLOSE_STREAM = "]\n"
_REPLY = "Assistant: "


@dataclass(frozen=True)
class _Piece:
    """A run of text, or (when `token_id` is given) one token; `learned` says whether it is a training target."""

    text: str
    learned: bool = False
    token_id: int | None = None
    silence_after: bool = False  # live1: the target after this token is silence, which is not fed back


class DialogueTemplate:
    """Turns conversations into what the decoder reads.

    Text from outside is tokenised with special tokens off and loses its line breaks in user turns, so that it can
    neither become a control token nor open a turn of its own.

    Raises:
        ValueError: the tokenizer has no `<eos>`, or makes several tokens of the interval.
    """

    def __init__(self, config: LiveConfig, tokenizer: PreTrainedTokenizerBase, frame_token_id: int) -> None:
        """`frame_token_id` is the id just past the decoder's embedding table, so no text can ever yield it."""
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
        # What is fed again and again is tokenised once.
        self._before_frame = {turn: self._opening(turn, Turn.STREAM) for turn in Turn if turn is not Turn.STREAM}
        self._before_frame[Turn.STREAM] = self.interval_ids
        self._before_reply = self._ids(_BETWEEN[Turn.STREAM, Turn.ASSISTANT].rstrip(" "))
        openings = zip(self.before_frame(Turn.SYSTEM), self.before_answer(Turn.SYSTEM, "?"), strict=False)
        self.num_system_tokens: int = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], openings))

    # Training: a whole dialogue at once.

    def encode(self, conversation: Sequence[dict]) -> tuple[list[int], list[int]]:
        """Token ids and labels of a conversation, both [L]; labels[i] is the target after position i or -100.

        Raises:
            ValueError: an unknown role, an empty text, a stream without frames, frames to learn that are no number,
                or turns in an impossible order; the message has the number of the message in the conversation.
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
            for token_id, learned in self._tokenise(texts):
                append(token_id, learned)
            texts.clear()
            if piece.token_id >= 0:
                append(piece.token_id, piece.learned)
                if piece.silence_after:
                    labels[-1] = self.silence_token_id
        return input_ids, labels

    def render(self, conversation: Sequence[dict]) -> str:
        """The conversation as one string, for people to read."""
        return "".join(piece.text for piece in self._pieces(conversation))

    # Inference: what is fed when the stream goes from one turn to the next.

    def before_frame(self, turn: Turn) -> list[int]:
        """Ids between what was read last and a frame's tokens (the interval, or whatever opens a stream turn)."""
        return self._before_frame[turn]

    def before_reply(self) -> list[int]:
        """Ids that close the stream and let the assistant speak unasked."""
        return self._before_reply

    def before_answer(self, turn: Turn, query: str) -> list[int]:
        """Ids of a user's query and of the opening of the answer.

        Raises:
            ValueError: the query is empty.
        """
        return self._opening(turn, Turn.USER, clean_user_text(query) + _BETWEEN[Turn.USER, Turn.ASSISTANT].rstrip(" "))

    def _opening(self, turn: Turn, following: Turn, text: str = "") -> list[int]:
        between = _BETWEEN[turn, following]
        if turn is Turn.SYSTEM:
            return self._bos() + self._ids(self.config.system_prompt + between + text)
        if turn is Turn.ASSISTANT:
            return [self.eos_token_id, *self._ids(between + text)]
        return self._ids(between + text)

    # The grammar.

    def _pieces(self, conversation: Sequence[dict]) -> Iterable[_Piece]:
        system_prompt = self.config.system_prompt
        messages = list(enumerate(conversation))
        if messages and messages[0][1].get("role") == "system":
            system_prompt = _text(*messages.pop(0))
        for bos in self._bos():
            yield _Piece(self.tokenizer.bos_token, token_id=bos)
        yield _Piece(system_prompt)

        turn = Turn.SYSTEM
        for position, (number, message) in enumerate(messages):
            following = _turn(number, message)
            continues = turn is following is Turn.STREAM
            if not continues and (turn, following) not in _BETWEEN:
                raise ValueError(f"message {number}: {following.value} cannot follow {turn.value}")
            if following is Turn.STREAM:
                if not continues:
                    yield _Piece(_BETWEEN[turn, following])
                next_turn = _turn(*messages[position + 1]) if position + 1 < len(messages) else None
                yield from self._frames(number, message, next_turn)
            elif following is Turn.USER:
                yield _Piece(_BETWEEN[turn, following] + clean_user_text(_text(number, message)))
            else:
                learned = bool(message.get("learn", False))
                # The close of the stream is the last frame's target and was yielded with it.
                between = "\n" if turn is Turn.USER else ""
                yield _Piece(between)
                yield _Piece(_REPLY + _text(number, message), learned)
                yield _Piece(self.tokenizer.eos_token, learned, self.eos_token_id)
            turn = following

    def _frames(self, number: int, message: dict, next_turn: Turn | None) -> Iterable[_Piece]:
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
                    yield _Piece(_CLOSE_STREAM, learned)
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

    def _tokenise(self, pieces: Sequence[_Piece]) -> list[tuple[int, bool]]:
        """Tokenise adjoining texts as one, since tokens may span them; a token belongs to where it starts."""
        text = "".join(piece.text for piece in pieces)
        if not text:
            return []
        starts_learned = [piece.learned for piece in pieces for _ in piece.text]
        encoded = self.tokenizer(text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True)
        return [
            (token_id, starts_learned[start])
            for token_id, (start, _) in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
        ]


def clean_user_text(text: str) -> str:
    """A user's text on one line: turns open with a line break, so text without one stays inside its turn.

    Raises:
        ValueError: nothing is left, or there is half a surrogate pair in it.
    """
    line = " ".join(text.split())
    try:
        line.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"the query is no valid text: {error}") from error
    if not line:
        raise ValueError("the query is empty")
    return line


def _turn(number: int, message: dict) -> Turn:
    role = message.get("role")
    if role not in (Turn.STREAM.value, Turn.USER.value, Turn.ASSISTANT.value):
        raise ValueError(f"message {number}: unknown role {role!r}; expected stream, user or assistant")
    return Turn(role)


def _text(number: int, message: dict) -> str:
    content = message.get("content")
    if not isinstance(content, str) or not content.strip():
        raise ValueError(f"message {number}: the {message['role']} message needs a text, not {content!r}")
    return content
