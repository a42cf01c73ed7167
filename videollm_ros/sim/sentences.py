# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is said about events: the wording in each style, and the meaning of any wording.

A stream's style is set by the user's request and by nothing else, so that there are several wordings of every
event and yet each can be foreseen from what stands in the context.
"""

import re

from videollm_ros.sim.world import COLOURS, KINDS, SHAPES, Item

DEFAULT_STYLE = "plain"  # also when nobody asked for anything
REQUESTS = {
    "plain": (
        "Please narrate the video in real time.",
        "Tell me what happens.",
        "Say what happens as it happens.",
    ),
    "brief": ("Narrate briefly.", "Short notes, please.", "Keep it short: what happens?"),
    "full": (
        "Tell me in full sentences what happens.",
        "Please describe every change in full sentences.",
        "Narrate in full sentences.",
    ),
    "viewer": ("Tell me what I see.", "Narrate what I see.", "Say what I can see as it happens."),
}
STYLES = tuple(REQUESTS)

_WORDINGS = {
    "plain": {
        "appear": "A {item} appears.",
        "remove": "The {item} disappears.",
        "move": "The {item} moves.",
        "pick": "The gripper picks up the {item}.",
        "put": "The gripper puts down the {item}.",
    },
    "brief": {
        "appear": "New: {item}.",
        "remove": "Gone: {item}.",
        "move": "Moved: {item}.",
        "pick": "Picked up: {item}.",
        "put": "Put down: {item}.",
    },
    "full": {
        "appear": "A {item} has appeared on the table.",
        "remove": "The {item} has disappeared from the table.",
        "move": "The {item} has moved to another place.",
        "pick": "The gripper has picked up the {item}.",
        "put": "The gripper has put down the {item}.",
    },
    "viewer": {
        "appear": "You see a {item} appear.",
        "remove": "You see the {item} disappear.",
        "move": "You see the {item} move.",
        "pick": "You see the gripper pick up the {item}.",
        "put": "You see the gripper put down the {item}.",
    },
    "past": {  # only in answers
        "appear": "A {item} appeared.",
        "remove": "The {item} disappeared.",
        "move": "The {item} moved.",
        "pick": "The gripper picked up the {item}.",
        "put": "The gripper put down the {item}.",
    },
}

_VERBS = {
    "appear": r"(re)?appear(s|ed|ing)?|new|arriv(es|ed|ing)",
    "remove": r"disappear(s|ed|ing)?|gone|vanish(es|ed)?|removed|(taken|took|takes) away",
    "move": r"mov(e|es|ed|ing)|slid(es?|ing)?",
    "pick": r"pick(s|ed|ing)? (it )?up|lift(s|ed|ing)?|grab(s|bed)?|grasp(s|ed)?",
    "put": r"put(s|ting)? (it )?down|releas(es|ed|ing)|set(s|ting)? down",
}
_KIND = {kind: re.compile(rf"\b({verbs})\b") for kind, verbs in _VERBS.items()}
_ITEM = re.compile(rf"\b({'|'.join(COLOURS)}) ({'|'.join(SHAPES)})s?\b")


def event_text(kind: str, item: Item, style: str = DEFAULT_STYLE) -> str:
    """The sentence for an event in a style (one of `STYLES`, or "past" as answers use it).

    Raises:
        ValueError: unknown kind or style.
    """
    try:
        return _WORDINGS[style][kind].format(item=item)
    except KeyError as key:
        raise ValueError(
            f"no sentence for event kind {kind!r} in style {style!r} ({key} is unknown): "
            f"kinds are {', '.join(KINDS)}; styles are {', '.join(_WORDINGS)}."
        ) from None


def items_in(text: str) -> list[Item]:
    """Every "colour shape" that the text names, in the text's order."""
    return [Item(colour, shape) for colour, shape in _ITEM.findall(" ".join(text.lower().split()))]


def parse_event(text: str) -> tuple[str, str, str] | None:
    """The meaning (kind, colour, shape) of a sentence about one event, whatever its wording and case.

    None unless the text names exactly one kind of event and exactly one item.
    """
    kinds = [kind for kind, verbs in _KIND.items() if verbs.search(" ".join(text.lower().split()))]
    items = set(items_in(text))
    if len(kinds) != 1 or len(items) != 1:
        return None
    item = items.pop()
    return kinds[0], item.colour, item.shape
