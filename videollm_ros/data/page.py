# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A dialogue as turns of decisions, ready to be drawn: what is done on every frame, and what of it is learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby

from jinja2 import Environment, PackageLoader, StrictUndefined

from videollm_ros.data.dialogues import Dialogue

MEANINGS = {
    "speaks": "speaks after this frame",
    "silent": "stays silent",
    "queried": "a user speaks after this frame",
}


@dataclass(frozen=True)
class Decision:
    """What is decided on a frame. `kind` is a key of `MEANINGS`, `image` a data URI or empty."""

    frame: int
    seconds: float
    kind: str
    learned: bool
    image: str = ""


@dataclass(frozen=True)
class Turn:
    """A run of frames, or a message of a user, the assistant or the system, at the time of the last frame before it."""

    role: str
    seconds: float
    text: str = ""
    learned: bool = False
    decisions: list[Decision] = field(default_factory=list)

    @property
    def shown(self) -> list[Decision | int]:
        """Return the decisions that have a picture, and between them how many have none."""
        parts: list[Decision | int] = []
        for has_image, group in groupby(self.decisions, key=lambda each: bool(each.image)):
            decisions = list(group)
            parts += decisions if has_image else [len(decisions)]
        return parts


@dataclass(frozen=True)
class Scene:
    """One dialogue of the page."""

    dialogue: Dialogue
    seconds: float
    turns: list[Turn]

    @property
    def bands(self) -> list[tuple[str, bool, float]]:
        """Return runs of equal decisions: kind, whether it is learned, and the share of all frames in percent."""
        decisions = [decision for turn in self.turns for decision in turn.decisions]
        runs = groupby(decisions, key=lambda each: (each.kind, each.learned))
        return [(kind, learned, 100 * sum(1 for _ in run) / len(decisions)) for (kind, learned), run in runs]


def turns_of(dialogue: Dialogue, fps: float, images: Mapping[int, str]) -> list[Turn]:
    """Return the turns of a dialogue; `images` are data URIs by frame."""
    turns: list[Turn] = []
    frame = dialogue.frames[0]
    for number, message in enumerate(dialogue.conversation):
        following = dialogue.conversation[number + 1]["role"] if number + 1 < len(dialogue.conversation) else ""
        now = max(frame - 1, 0) / fps
        if message["role"] != "stream":
            role = "instruction" if message.get("answer") is False else message["role"]
            turns.append(Turn(role, now, message["content"], bool(message.get("learn", False))))
            continue
        count, learn = message["num_frames"], message.get("learn", False)
        num_learned = count * learn if isinstance(learn, bool) else learn
        last = {"assistant": "speaks", "user": "queried"}.get(following, "silent")
        decisions = [
            Decision(
                frame + index,
                (frame + index) / fps,
                last if index + 1 == count else "silent",
                # Nothing is decided on a frame after which a user speaks, unless the next turn is a reply.
                index < num_learned and not (index + 1 == count and following == "user"),
                images.get(frame + index, ""),
            )
            for index in range(count)
        ]
        turns.append(Turn("stream", frame / fps, decisions=decisions))
        frame += count
    return turns


def render(scenes: list[Scene], title: str) -> str:
    """Return the page: one HTML file that loads nothing from anywhere."""
    environment = Environment(
        loader=PackageLoader("videollm_ros.data", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("dialogues.html").render(scenes=scenes, title=title, meanings=MEANINGS)
