# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Answers: their wording, short or in a full sentence, and what any wording says.

The form of an answer follows the stream's style: short, unless the user asked for full sentences.
"""

import re
from typing import Any

from videollm_ros.sim.sentences import event_text, items_in, parse_event
from videollm_ros.sim.world import COLOURS, Event, Item

NUMBERS = ("no", "one", "two", "three")
_NUMBER_WORDS = {"zero": 0, "none": 0, "no": 0, "nothing": 0, "one": 1, "two": 2, "three": 3, "four": 4}
_NOTHING = re.compile(r"\b(nothing|none|empty)\b")
WHERE = {
    "left": "on the left",
    "middle": "in the middle",
    "right": "on the right",
    "gripper": "in the gripper",
}
_PLACE_NAMES = {"left": "left", "middle": "middle", "centre": "middle", "center": "middle", "right": "right"}
_PLACE_NAMES |= {"gripper": "gripper", "hand": "gripper"}


def _a(items: tuple[Item, ...]) -> str:
    names = [f"a {item}" for item in items]
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


def answer_table(items: tuple[Item, ...], full: bool) -> str:
    """Say what is on the table."""
    if not items:
        return "There is nothing on the table." if full else "Nothing."
    return f"There is {_a(items)} on the table." if full else _sentence(_a(items))


def answer_holding(item: Item | None, full: bool) -> str:
    """Say what the gripper holds."""
    if item is None:
        return "It is holding nothing." if full else "Nothing."
    return f"It is holding a {item}." if full else f"A {item}."


def answer_last(event: Event | None, full: bool) -> str:
    """Say what happened last."""
    if event is None:
        return "Nothing has happened yet." if full else "Nothing yet."
    return event_text(event.kind, event.item, "full" if full else "past")


def answer_count(count: int, colour: str | None, full: bool) -> str:
    """Say how many objects there are, of a color when one is given."""
    if not full:
        return "None." if count == 0 else _sentence(NUMBERS[count])
    verb, noun = ("is", "object") if count == 1 else ("are", "objects")
    return (
        f"There {verb} {NUMBERS[count]} {colour} {noun}."
        if colour
        else f"There {verb} {NUMBERS[count]} {noun} on the table."
    )


def answer_check(item: Item, seen: bool, full: bool) -> str:
    """Say whether an item is visible."""
    if not full:
        return "Yes." if seen else "No."
    return f"Yes, there is a {item}." if seen else f"No, there is no {item}."


def answer_colour(item: Item, full: bool) -> str:
    """Say which color an item has."""
    return f"The {item.shape} is {item.colour}." if full else _sentence(item.colour)


def answer_where(place: str, full: bool) -> str:
    """Say where an item is."""
    return f"It is {WHERE[place]}." if full else _sentence(WHERE[place])


def parse_answer(kind: str, text: str) -> object:
    """Return what an answer says, comparable with `Question.meaning`, or None when it says nothing definite.

    By kind of question: "table" gives a frozenset of items, "holding" an item or "nothing", "gripper" and
    "event" an event's meaning or "nothing", "count" an int, "check" a bool, "colour" a colour, "where" a
    place or "gripper".

    Raises:
        ValueError: unknown kind of question.
    """
    words = re.findall(r"[a-z]+|\d+", text.lower())
    items = items_in(text)
    nothing = bool(_NOTHING.search(text.lower())) and not items
    if kind == "table":
        return frozenset(items) if items or nothing else None
    if kind == "holding":
        return "nothing" if nothing else items[0] if len(set(items)) == 1 else None
    if kind in ("gripper", "event"):
        return "nothing" if nothing else parse_event(text)
    if kind == "count":
        return _only({int(word) if word.isdigit() else _NUMBER_WORDS.get(word) for word in words})
    if kind == "check":
        return {"yes": True, "no": False}.get(words[0]) if words else None
    if kind == "colour":
        return _only({word if word in COLOURS else None for word in words})
    if kind == "where":
        return _only({_PLACE_NAMES.get(word) for word in words})
    raise ValueError(f"no question is of kind {kind!r}.")


def _only(values: set[Any]) -> Any:
    values.discard(None)
    return values.pop() if len(values) == 1 else None
