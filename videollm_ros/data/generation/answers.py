# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a language model is asked to write, in which form, and how its answer is checked."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from videollm_ros.data.generation.skeleton import Skeleton, Turn

_DIALOGUE_TASK = (
    "You write the words of an assistant that watches a person through a camera while they work. You are given the "
    "steps of a recording with their times in seconds, and a numbered list of turns. Write exactly one reply for each "
    "turn. Speak to the person as 'you', in one or two short sentences. Answer what is asked at a turn; where nothing "
    "is asked, say what begins or ends there, or guide the person on. A reply knows the steps up to its time. It may "
    "name a later step only to say what to do next. Never name a time, a number of seconds or a step's number. "
    'Answer with JSON and nothing else: {"replies": [{"turn": 1, "text": "..."}, ...]}.'
)
_REFINE_TASK = (
    "Each numbered sentence was noted while a camera was worn; '#C', 'C' or 'the camera wearer' is the person who "
    "wears it, '#O' or a capital letter somebody else. Rewrite each one as a plain, correct English sentence that "
    "speaks to the wearer as 'you'. Add nothing and leave nothing out. "
    'Answer with JSON and nothing else: {"sentences": [{"number": 1, "text": "..."}, ...]}.'
)
_JUDGE_TASK = (
    "You grade a dialogue between a person at work and an assistant that watches. You are given the steps with their "
    "times in seconds, and the dialogue. Give a score from 1 (wrong, useless or unnatural) to 10 (right at each "
    "time, helpful, natural) and the reason in one sentence. "
    'Answer with JSON and nothing else: {"reason": "...", "score": 7}.'
)
_THOUGHT = re.compile(r"<think>.*?</think>", re.DOTALL)
_FENCE = re.compile(r"^```(?:json)?\s*|\s*```$")

Messages = list[dict[str, str]]
Answer = TypeVar("Answer", bound=BaseModel)


class AnswerError(ValueError):
    """Say as a sentence what is wrong with an answer of a language model."""


class _Reply(BaseModel):
    model_config = ConfigDict(extra="forbid")
    turn: int
    text: str


class Replies(BaseModel):
    """The replies of a dialogue."""

    model_config = ConfigDict(extra="forbid")
    replies: list[_Reply]


class _Sentence(BaseModel):
    model_config = ConfigDict(extra="forbid")
    number: int
    text: str


class Sentences(BaseModel):
    """Sentences that were rewritten."""

    model_config = ConfigDict(extra="forbid")
    sentences: list[_Sentence]


class Grade(BaseModel):
    """A judge's score from 1 to 10."""

    model_config = ConfigDict(extra="forbid")
    reason: str
    score: int


def dialogue_messages(skeleton: Skeleton) -> Messages:
    """Ask for the replies of a dialogue."""
    turns = "\n".join(f"{number}. {_described(turn)}" for number, turn in enumerate(skeleton.turns, start=1))
    wish = f"\nAt the start the person said: {json.dumps(skeleton.instruction)}" if skeleton.instruction else ""
    return _messages(_DIALOGUE_TASK, f"Steps:\n{_timeline(skeleton)}{wish}\n\nTurns:\n{turns}")


def refine_messages(sentences: Sequence[str]) -> Messages:
    """Ask for sentences to be rewritten."""
    lines = "\n".join(f"{number}. {json.dumps(text)}" for number, text in enumerate(sentences, start=1))
    return _messages(_REFINE_TASK, lines)


def judge_messages(skeleton: Skeleton, replies: Sequence[str]) -> Messages:
    """Ask for the score of a dialogue."""
    lines = []
    for turn, reply in zip(skeleton.turns, replies, strict=True):
        if turn.query:
            lines.append(f"{turn.seconds:.1f} s, person: {json.dumps(turn.query)}")
        lines.append(f"{turn.seconds:.1f} s, assistant: {json.dumps(reply)}")
    return _messages(_JUDGE_TASK, f"Steps:\n{_timeline(skeleton)}\n\nDialogue:\n" + "\n".join(lines))


def parse_answer(text: str, kind: type[Answer]) -> Answer:
    """Read an answer. Thoughts before it and a fence around it are left out.

    Raises:
        AnswerError: it is not of that form.
    """
    body = _FENCE.sub("", _THOUGHT.sub("", text).strip())
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "it"
        raise AnswerError(f"The answer has not the asked form: {place}: {first['msg']}.") from error


def check_replies(text: str, skeleton: Skeleton) -> list[str]:
    """Return the replies by turn.

    Raises:
        AnswerError: it is not of the asked form, or not exactly one reply for each turn.
    """
    given = parse_answer(text, Replies).replies
    return _in_order([(each.turn, each.text) for each in given], len(skeleton.turns), "turn")


def check_sentences(text: str, count: int) -> list[str]:
    """Return the `count` rewritten sentences in order.

    Raises:
        AnswerError: it is not of the asked form, or not exactly one for each number.
    """
    given = parse_answer(text, Sentences).sentences
    return _in_order([(each.number, each.text) for each in given], count, "sentence")


def check_score(text: str) -> Grade:
    """Return a judge's grade.

    Raises:
        AnswerError: it is not of the asked form, or out of range.
    """
    grade = parse_answer(text, Grade)
    if not 1 <= grade.score <= 10:
        raise AnswerError(f"The score is {grade.score}. One from 1 to 10 was expected.")
    return grade


def response_format(kind: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON schema in the form in which a server is asked for it."""
    schema = {"name": kind.__name__.lower(), "strict": True, "schema": kind.model_json_schema()}
    return {"type": "json_schema", "json_schema": schema}


def _messages(task: str, text: str) -> Messages:
    return [{"role": "system", "content": task}, {"role": "user", "content": text}]


def _timeline(skeleton: Skeleton) -> str:
    lines = []
    for step in skeleton.steps:
        end = "" if step.end is None else f" to {step.end:.1f} s"
        lines.append(f"{step.start:.1f} s{end}: {json.dumps(step.text)}")
    return "\n".join(lines)


def _described(turn: Turn) -> str:
    parts = [f"At {turn.seconds:.1f} s"]
    if turn.happens:
        parts.append("; ".join(turn.happens))
    if turn.query:
        parts.append(f"the person says {json.dumps(turn.query)}")
    return ", ".join(parts)


def _in_order(given: Sequence[tuple[int, str]], count: int, name: str) -> list[str]:
    texts: dict[int, str] = {}
    for number, text in given:
        words = " ".join(text.split())
        if number in texts or not 1 <= number <= count:
            raise AnswerError(f"There are several answers for {name} {number}, or there is no such {name}.")
        if not words or "\ufffd" in words or any("\ud800" <= letter <= "\udfff" for letter in words):
            raise AnswerError(f"The text of {name} {number} is empty or broken.")
        texts[number] = words
    if len(texts) != count:
        raise AnswerError(f"There are {len(texts)} answers. {count} were expected, one for each {name}.")
    return [texts[number] for number in range(1, count + 1)]
