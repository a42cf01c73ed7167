# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""COIN's five tasks as dialogues: the step, the next step, the task, and the steps to come."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import Any

from videollm_ros.data.convert.checks import recording_id, span, words
from videollm_ros.data.convert.conversation import Conversation
from videollm_ros.data.convert.json_stream import members
from videollm_ros.data.convert.request import Converter, Request

MOST_STEPS = 5  # to come, that are asked for
_CONCISE = "Format your answer concisely. No extra text output."
_LISTED = "Format your answer concisely, listing each action on a new line with a number prefix. No extra text output."
_STEPS = {
    "process (crop, fold) paper": "crop and fold paper",
    "try to press gun head, spray residual old grease": "try to press gun head to spray residual old grease",
}
_ACRONYMS = ((" t v", " TV"), (" c d", " CD"), ("s i m", "SIM"), ("n b a", "NBA"), ("s s d", "SSD"), ("r j45", "RJ45"))

_Step = tuple[float, float, str]
_Sample = tuple[float, float, str, str]  # start and end in seconds, query, reply


def task_name(name: str) -> str:
    """Return the words of a task's name.

    >>> task_name("InstallSSD")
    'install SSD'
    """
    text = re.sub("[A-Z]", lambda letter: f" {letter.group().lower()}", name)
    for letters, acronym in _ACRONYMS:
        text = text.replace(letters, acronym)
    return text.strip()


def _step(task: str, whole: tuple[float, float], steps: list[_Step]) -> Iterator[_Sample]:
    for start, end, label in steps:
        yield start, end, f"What is the action in the video? {_CONCISE}", _sentence(label)


def _next(task: str, whole: tuple[float, float], steps: list[_Step]) -> Iterator[_Sample]:
    for (start, end, _), (_, _, following) in pairwise(steps):
        yield start, end, f"What is the next action for the video? {_CONCISE}", _sentence(following)


def _task(task: str, whole: tuple[float, float], steps: list[_Step]) -> Iterator[_Sample]:
    yield *whole, f"What is the overall activity in the video? {_CONCISE}", _sentence(task)


def _procedure(task: str, whole: tuple[float, float], steps: list[_Step], goal: bool = False) -> Iterator[_Sample]:
    opening = f"To {task}, what is" if goal else "What is"
    for number, (start, end, _) in enumerate(steps[:-1], start=1):
        coming = [label for _, _, label in steps[number : number + MOST_STEPS]]
        if len(coming) == 1:
            yield start, end, f"{opening} the next action for the video? {_CONCISE}", _sentence(coming[0])
        else:
            reply = "\n".join(f"{index}. {_sentence(label)}" for index, label in enumerate(coming, start=1))
            yield start, end, f"{opening} the next {len(coming)} actions for the video? {_LISTED}", reply


def _sentence(label: str) -> str:
    return label.capitalize() + "."


def _convert(request: Request, samples: Callable[..., Iterator[_Sample]]) -> Iterator[dict[str, Any]]:
    """Yield the dialogues of one task: a query, the frames of a step or of the whole task, and the reply."""
    path = request.main_file("coin.json")
    for video, entry in members(path, "database", request.tally):
        yield from request.each(f"{path.name}: {video[:80]}", _dialogues, video, entry, samples)


def _dialogues(
    request: Request, video: str, entry: dict[str, Any], samples: Callable[..., Iterator[_Sample]]
) -> Iterator[dict[str, Any]]:
    if request.split not in str(entry.get("subset")).lower():
        return
    grid = request.grid(recording_id(video))
    if grid is None:
        return
    steps = [step for each in entry.get("annotation") or [] for step in request.each(video, _known_step, each)]
    whole = span(entry.get("start"), entry.get("end"))
    for start, end, query, reply in samples(task_name(words(entry.get("class"))), whole, steps):
        conversation = Conversation(grid.after(start))
        conversation.ask(query)
        conversation.watch(grid.after(end) + 1)
        conversation.say(reply)
        yield conversation.line(video)


def _known_step(request: Request, entry: dict[str, Any]) -> Iterator[_Step]:
    label = words(entry.get("label"))
    start, end = entry["segment"]
    yield *span(start, end), _STEPS.get(label, label)


CONVERTERS: dict[str, Converter] = {
    "coin-step": partial(_convert, samples=_step),
    "coin-next": partial(_convert, samples=_next),
    "coin-task": partial(_convert, samples=_task),
    "coin-procedure": partial(_convert, samples=_procedure),
    "coin-task-procedure": partial(_convert, samples=partial(_procedure, goal=True)),
}
