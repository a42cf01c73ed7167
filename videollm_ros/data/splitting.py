# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parts of a long dialogue, each with what a session with a bounded context still remembers of the rest.

A part shows the frames [start, stop). Older frames are forgotten. Older queries and replies stay, the newest ones
first, until they fill their share of the context. Standing instructions always stay.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import NoReturn

from videollm_ros.data.dialogues import Dialogue, Message, count_frames, is_instruction
from videollm_ros.live.eviction import ContextLimits, Segment, SegmentKind, choose_evictions
from videollm_ros.live.template import DialogueTemplate, Turn

_TOKENS_AROUND_TEXT = 16
"""More tokens than stand around any text: roles, brackets and <eos>."""


@dataclass(frozen=True)
class DialogueLimits:
    """How long the parts of a dialogue may be."""

    max_tokens: int | None = None
    """Tokens of one part, with the text before it. None: no limit."""
    max_frames: int | None = None
    """Frames of one part. None: no limit."""

    @property
    def max_text_tokens(self) -> int | None:
        """Most tokens of text that are carried along when not everything fits, as a session does it by default."""
        return None if self.max_tokens is None else self.max_tokens // 4


class DialogueSplitter:
    """Finds the parts of a dialogue and cuts them out."""

    def __init__(self, template: DialogueTemplate, limits: DialogueLimits) -> None:
        """Take the template that makes the tokens, and the limits of a part."""
        self._template = template
        self.limits = limits
        self._frame_tokens = template.config.frame_num_tokens + len(template.interval_ids)

    def parts(self, dialogue: Dialogue) -> list[tuple[int, int]]:
        """Return the parts [start, stop) of a dialogue, in frames of the video, cut on turns where possible.

        Raises:
            DialogueError: one frame with the text that belongs to it does not fit.
        """
        begin, end = dialogue.frames
        if self._surely_fits(dialogue):
            return [dialogue.frames]
        counts = _TokenCounts(dialogue.conversation, self)
        parts: list[tuple[int, int]] = []
        first = 0
        while first < dialogue.num_frames or not parts:
            last = self._last_frame(counts, first, end - begin)
            if last is None:
                self._refuse(dialogue, counts.part(first, min(first + 1, end - begin)), first + begin)
            parts.append((begin + first, begin + last))
            first = last
        return parts

    def cut(self, dialogue: Dialogue, start: int, stop: int) -> Dialogue:
        """Return the part [start, stop) of a dialogue with what is remembered of the frames before it.

        Forgotten frames are no longer in `frames`. One of them stands for each forgotten run of frames in the
        conversation, because the brackets around a run stay (see `augmentation.forget_frames`).
        """
        begin = dialogue.frames[0]
        if (start, stop) == dialogue.frames:
            return dialogue
        past, present = _divide(dialogue.conversation, start - begin, stop - begin)
        past = list(_forget(self._remembered(past, present)))
        return replace(dialogue, frames=(start, stop), conversation=[*past, *present], forgotten=count_frames(past))

    def text_lengths(self, messages: Sequence[Message]) -> list[int]:
        """Return the number of tokens that each message with a text takes, its turn's opening and end included."""
        openings = {"user": "]\nUser: ", "assistant": "]\nAssistant: ", "system": ""}
        texts = [f"{openings[message['role']]}{message['content']}" for message in messages]
        if not texts:
            return []
        encoded = self._template.tokenizer(texts, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        return [len(ids) + len(self._template.before_frame(Turn.ASSISTANT)) for ids in encoded]

    @property
    def frame_tokens(self) -> int:
        """Tokens of a frame with the interval after it."""
        return self._frame_tokens

    @property
    def system_tokens(self) -> int:
        """Tokens of the default system prompt and of the opening after it."""
        return self._template.num_system_tokens + _TOKENS_AROUND_TEXT

    def _surely_fits(self, dialogue: Dialogue) -> bool:
        """Return whether an upper bound fits: no tokenizer makes more tokens of a text than it has bytes."""
        limits = self.limits
        if limits.max_frames is not None and dialogue.num_frames > limits.max_frames:
            return False
        if limits.max_tokens is None:
            return True
        texts = [message["content"] for message in dialogue.conversation if message["role"] != "stream"]
        most = sum(len(text.encode(errors="replace")) + _TOKENS_AROUND_TEXT for text in texts)
        return most + self.system_tokens + dialogue.num_frames * self._frame_tokens <= limits.max_tokens

    def _last_frame(self, counts: _TokenCounts, first: int, end: int) -> int | None:
        """Return the end of the longest part from `first` on: after a turn, or inside one that is too long."""
        limits = self.limits
        last = end if limits.max_frames is None else min(end, first + limits.max_frames)
        if limits.max_tokens is not None:
            # The tokens grow with the end of the part, so that bisection finds the longest one that fits.
            ends = range(first, last + 1)
            fitting = bisect_right(ends, limits.max_tokens, key=lambda stop: counts.part(first, stop))
            last = first + fitting - 1
        if last < min(first + 1, end):
            return None
        on_turns = counts.turn_ends[: bisect_right(counts.turn_ends, last)]
        return on_turns[-1] if last < end and on_turns and on_turns[-1] > first else last

    def _refuse(self, dialogue: Dialogue, num_tokens: int, frame: int) -> NoReturn:
        dialogue.fail(
            f"frame {frame} with the text that belongs to it has {num_tokens} tokens, the decoder reads "
            f"{self.limits.max_tokens} at most; shorten the text"
        )

    def _remembered(self, past: Sequence[Message], present: Sequence[Message]) -> list[Message]:
        """Return what a session has not evicted of the past when it has read the present. Its frames are for later."""
        size, exchanges = self.limits.max_tokens, _exchanges(past)
        if size is None:
            return list(past)
        segments = [Segment(SegmentKind.SYSTEM, self.system_tokens, 0.0), *map(self._segment, exchanges)]
        growing = Segment(SegmentKind.TEXT, 0, 1.0)  # the newest segment is never evicted
        needed = min(sum(self._segment([message]).length for message in present), size - self.system_tokens)
        evicted = choose_evictions(
            [*segments, growing], ContextLimits(size, 0.0, self.limits.max_text_tokens), needed, now=1.0
        )
        kept = (
            exchange
            for index, exchange in enumerate(exchanges, start=1)
            if index not in evicted or segments[index].kind is SegmentKind.FRAME
        )
        return [message for exchange in kept for message in exchange]

    def _segment(self, exchange: Sequence[Message]) -> Segment:
        """Return what a stream turn, an instruction, or a query with its answer is in the context of a session."""
        first = exchange[0]
        if first["role"] == "stream":
            return Segment(SegmentKind.FRAME, first["num_frames"] * self._frame_tokens, 0.0)
        kind = SegmentKind.TEXT if _can_be_forgotten(first) else SegmentKind.INSTRUCTION
        return Segment(kind, sum(self.text_lengths(exchange)), 0.0)


class _TokenCounts:
    """How many tokens the parts of a dialogue have. Frames are counted from the start of the dialogue."""

    def __init__(self, conversation: Sequence[Message], splitter: DialogueSplitter) -> None:
        texts = [message for message in conversation if message["role"] != "stream"]
        lengths = iter(splitter.text_lengths(texts))
        self._splitter = splitter
        self._after: list[int] = []  # of each text: the number of frames before it
        of_exchanges, of_instructions = [], []
        self.turn_ends: list[int] = []
        num_frames = 0
        for message in conversation:
            if message["role"] == "stream":
                num_frames += message["num_frames"]
                continue
            length = next(lengths)
            self._after.append(num_frames)
            of_exchanges.append(length if _can_be_forgotten(message) else 0)
            of_instructions.append(0 if _can_be_forgotten(message) else length)
            if message["role"] == "assistant":
                self.turn_ends.append(num_frames)
        self._text = [0, *accumulate(of_exchanges)]
        self._instructions = [0, *accumulate(of_instructions)]

    def part(self, start: int, stop: int) -> int:
        """Return the tokens of the part [start, stop), with the texts that it carries along."""
        before = bisect_right(self._after, start) if start else 0
        until = bisect_right(self._after, stop)
        carried = self._text[before]
        if self._splitter.limits.max_text_tokens is not None:
            carried = min(carried, self._splitter.limits.max_text_tokens)
        texts = carried + self._text[until] - self._text[before] + self._instructions[until]
        return self._splitter.system_tokens + texts + (stop - start) * self._splitter.frame_tokens


def _can_be_forgotten(message: Message) -> bool:
    return message["role"] in ("user", "assistant") and not is_instruction(message)


def _exchanges(messages: Sequence[Message]) -> list[list[Message]]:
    """Group each answered query with its answer. Every other message stands alone."""
    groups: list[list[Message]] = []
    for message in messages:
        previous = groups[-1][-1] if groups else None
        if message["role"] == "assistant" and previous and previous["role"] == "user" and not is_instruction(previous):
            groups[-1].append(message)
        else:
            groups.append([message])
    return groups


def _divide(conversation: Sequence[Message], start: int, stop: int) -> tuple[list[Message], list[Message]]:
    """Return the messages before frame `start`, and those of the frames [start, stop).

    A text belongs to the frame before it. The texts before the first frame belong to the part that shows it.
    """
    past: list[Message] = []
    present: list[Message] = []
    num_frames = 0
    for message in conversation:
        if message["role"] != "stream":
            (past if start and num_frames <= start else present).append(message)
            continue
        if num_frames >= stop:
            break
        count = message["num_frames"]
        num_past = min(max(start - num_frames, 0), count)
        num_shown = min(count, stop - num_frames) - num_past
        if num_past:
            past.append(dict(message, num_frames=num_past, learn=False))
        if num_shown > 0:
            learned = min(max(_num_learned(message) - num_past, 0), num_shown)
            present.append(dict(message, num_frames=num_shown, learn=learned == num_shown or learned))
        num_frames += count
        if num_frames > stop:
            break
    return past, present


def _num_learned(stream: Message) -> int:
    learn = stream.get("learn", False)
    return int(stream["num_frames"] * learn if isinstance(learn, bool) else min(learn, stream["num_frames"]))


def _forget(messages: Sequence[Message]) -> Iterator[Message]:
    """Yield the messages with one forgotten frame in place of every run of them."""
    previous = None
    for message in messages:
        if message["role"] != "stream":
            yield message
        elif previous is None or previous["role"] != "stream":
            yield dict(message, num_frames=1, learn=False)
        previous = message
