# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a user says in a stream: a request to narrate in some style, and questions about now and the past.

In most streams there is a request, usually at once. It is answered with what is on the table, and it sets the
style of everything said from then on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from videollm_ros.sim import answers
from videollm_ros.sim.script import Script
from videollm_ros.sim.sentences import REQUESTS
from videollm_ros.sim.world import COLOURS, SHAPES, Event, Item, State

CLEARANCE = 1.0  # seconds between a question and anything that happens
NO_REQUEST, LATE_REQUEST = (
    0.25,
    0.2,
)  # shares of streams without a request, and with one that comes later than at once
STYLE_SHARES = {"plain": 0.31, "brief": 0.23, "full": 0.23, "viewer": 0.23}
LATEST_REQUEST = 20.0  # seconds
SPACING = 4.0  # seconds between two questions, at least
EVERY = 7.0  # the same, on average, as far as events leave room
WEIGHTS = {
    "table": 0.2,
    "holding": 0.1,
    "gripper": 0.12,
    "event": 0.12,
    "count": 0.16,
    "check": 0.14,
    "colour": 0.08,
    "where": 0.08,
}

Phrased = tuple[Any, ...]
"""A question before it is answered: its text, what a right answer means, the function that words one, its arguments."""

KINDS_OF_NOW = ("table", "holding", "count", "check", "colour", "where")
"""Kinds of questions whose answers are to be seen when they are asked."""


@dataclass(frozen=True)
class Question:
    """A question at `time` [s], a whole second in which nothing happens.

    `kind`: "table", "holding", "colour", "where", "check" (now), "gripper", "event" (the past), "count".
    `meaning`: what a right answer says, see `answers.parse_answer`.
    `answer`: the right answer in the stream's style.
    `style`: the style that a request sets from here on; None for any other question.
    """

    time: float
    text: str
    kind: str
    meaning: object
    answer: str
    style: str | None = None


def answer_is_right(question: Question, text: str) -> bool:
    """Whether `text`, in any wording that can be understood, says what is true."""
    return answers.parse_answer(question.kind, text) == question.meaning


def write_questions(script: Script, seed: int) -> list[Question]:
    """The request, if any, and the questions, the same for the same arguments, in order of time."""
    rng = np.random.default_rng((seed, 3))
    times = quiet_seconds(script)
    request = _request(rng, script, times)
    questions, due = [request] if request else [], float(rng.uniform(1.0, EVERY))
    for time in times:
        if time < due or (request and abs(time - request.time) < SPACING):
            continue
        due = time + SPACING + float(rng.exponential(EVERY - SPACING))
        full = request is not None and request.style == "full" and time > request.time
        questions.append(write_question(rng, script, time, full))
    return sorted(questions, key=lambda question: question.time)


def quiet_seconds(script: Script) -> list[float]:
    """The whole seconds around which nothing happens."""
    seconds = np.arange(np.ceil(script.seconds))
    onsets = np.array([event.onset for event in script.events] + [np.inf])
    times = np.array([event.time for event in script.events])
    following = np.searchsorted(times, seconds - CLEARANCE, side="right")
    return [float(second) for second in seconds[seconds <= onsets[following] - CLEARANCE]]


def _request(rng: np.random.Generator, script: Script, times: list[float]) -> Question | None:
    chance = rng.random()
    style = str(rng.choice(list(STYLE_SHARES), p=list(STYLE_SHARES.values())))
    time = float(rng.choice([time for time in times if time <= LATEST_REQUEST])) if chance < LATE_REQUEST else 0.0
    if chance > 1 - NO_REQUEST:
        return None
    items = script.state(time).on_table
    answer = answers.answer_table(items, style == "full")
    return Question(time, str(rng.choice(REQUESTS[style])), "table", frozenset(items), answer, style)


def write_question(
    rng: np.random.Generator, script: Script, time: float, full: bool, kinds: Sequence[str] = ()
) -> Question:
    """Write a question with its answer.

    Args:
        rng: draws the kind and the items.
        script: what happens in the stream.
        time: when it is asked, in seconds.
        full: answer in a full sentence.
        kinds: keys of `WEIGHTS` to draw from evenly. None: all, as often as `WEIGHTS` says. A kind that has nothing to
            ask about becomes "table" or "count".
    """
    state = script.state(time)
    kind = _choose_kind(rng, state, kinds)
    if kind in ("gripper", "event"):
        text, meaning, answer, *about = _ask_about_past(kind, script.past(time))
    else:
        text, meaning, answer, *about = _ask_about_now(rng, kind, state)
    return Question(time, text, kind, meaning, answer(*about, full))


def _choose_kind(rng: np.random.Generator, state: State, kinds: Sequence[str]) -> str:
    shares = dict.fromkeys(kinds, 1.0) or WEIGHTS
    kind = str(rng.choice(list(shares), p=np.array(list(shares.values())) / sum(shares.values())))
    if kind == "holding" and state.held is None and rng.random() < 0.5:
        return "table"
    if kind in ("colour", "where") and not _nameable(state, kind):
        return "count"
    return kind


def _ask_about_past(kind: str, past: Sequence[Event]) -> Phrased:
    if kind == "gripper":
        last = next((event for event in reversed(past) if event.kind in ("pick", "put")), None)
        return "What did the gripper do last?", _meaning(last), answers.answer_last, last
    last = past[-1] if past else None
    return "What happened last?", _meaning(last), answers.answer_last, last


def _ask_about_now(rng: np.random.Generator, kind: str, state: State) -> Phrased:
    if kind == "table":
        return "What is on the table?", frozenset(state.on_table), answers.answer_table, state.on_table
    if kind == "holding":
        return "What is the gripper holding?", state.held or "nothing", answers.answer_holding, state.held
    if kind == "count" and rng.random() < 0.5:
        count = len(state.on_table)
        return "How many objects are on the table?", count, answers.answer_count, count, None
    if kind == "count":
        colours = [item.colour for item in state.visible] if rng.random() < 0.7 else []
        colour = str(rng.choice(colours or list(COLOURS)))
        count = sum(item.colour == colour for item in state.visible)
        return f"How many {colour} objects are there?", count, answers.answer_count, count, colour
    if kind == "check":
        item = _item_to_check(rng, state)
        seen = item in state.visible
        return f"Is there a {item}?", seen, answers.answer_check, item, seen
    item = _nameable(state, kind)[int(rng.integers(len(_nameable(state, kind))))]
    if kind == "colour":
        return f"What colour is the {item.shape}?", item.colour, answers.answer_colour, item
    return f"Where is the {item}?", state.where(item), answers.answer_where, state.where(item)


def _nameable(state: State, kind: str) -> list[Item]:
    """The items that a question of this kind can single out."""
    shapes = [item.shape for item in state.visible]
    return [item for item in state.visible if kind == "where" or shapes.count(item.shape) == 1]


def _item_to_check(rng: np.random.Generator, state: State) -> Item:
    """As often an item that is there as one that is not, which mostly shares a colour or a shape with one."""
    seen = state.visible
    if seen and rng.random() < 0.5:
        return seen[int(rng.integers(len(seen)))]
    absent = [Item(c, s) for c in COLOURS for s in SHAPES if Item(c, s) not in seen]
    near = [item for item in absent if any(item.colour == s.colour or item.shape == s.shape for s in seen)]
    pool = near if near and rng.random() < 0.7 else absent
    return pool[int(rng.integers(len(pool)))]


def _meaning(event: Event | None) -> object:
    return event.meaning if event else "nothing"
