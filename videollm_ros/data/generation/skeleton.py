# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Draw what a language model has to write: queries at random times, and a reply due at each query and step boundary."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import yaml

from videollm_ros.data.convert.conversation import Conversation
from videollm_ros.data.convert.grid import FrameGrid
from videollm_ros.data.convert.store import Step

USERS = ("silent", "some", "many")
QUERY_POOLS = ("past", "present", "future", "small_talk")
_MAX_WAITING_FRAMES = 20
"""Frames before the first turn, at most, as in the public training."""


@cache
def query_pools() -> dict[str, list[str]]:
    """Return the sentences of users by what they are about, and the standing instructions under "standing"."""
    pools: dict[str, list[str]] = yaml.safe_load(Path(__file__).with_name("pools.yaml").read_text(encoding="utf-8"))
    return pools


@dataclass
class Turn:
    """A reply that is due.

    Args:
        frame: index of the frame that it follows.
        seconds: time of that frame.
        query: what the user says on that frame. Empty where nothing is asked.
        about: the pool that the query is from.
        happens: what begins and ends there.
    """

    frame: int
    seconds: float
    query: str = ""
    about: str = ""
    happens: list[str] = field(default_factory=list)


@dataclass
class Skeleton:
    """A dialogue without its replies.

    Args:
        recording: id of the recording.
        start: index of the first frame.
        user: type of the user, one of `USERS`.
        instruction: the standing instruction of a user who asks nothing, else empty.
        steps: what happens in the recording, by time.
        turns: the replies that are due, by frame. No two are on one frame.
    """

    recording: str
    start: int
    user: str
    instruction: str
    steps: Sequence[Step]
    turns: list[Turn]

    @property
    def seconds(self) -> float:
        """Return the time from the first turn to the last one."""
        return self.turns[-1].seconds - self.turns[0].seconds

    def fill(self, replies: Sequence[str]) -> Conversation:
        """Return the conversation with one reply for each turn."""
        conversation = Conversation(self.start)
        if self.instruction:
            conversation.instruct(self.instruction)
        for turn, reply in zip(self.turns, replies, strict=True):
            frames = turn.frame + 1 - conversation.stop
            # On the frame of a query nothing is decided. A single frame before it is not learned at all.
            conversation.watch(turn.frame + 1, True if not turn.query else frames - 1 or False)
            if turn.query:
                conversation.ask(turn.query)
            conversation.say(reply)
        return conversation


def draw_skeleton(
    steps: Sequence[Step], grid: FrameGrid, rng: random.Random, max_queries: int, users: Sequence[str] = USERS
) -> Skeleton | None:
    """Draw the user, the queries and their times. Return None where no reply would be due.

    A user who asks some questions asks at most half of `max_queries`. One who asks nothing gives a standing
    instruction, and every step boundary is due.

    Args:
        steps: what happens, with its times in seconds from the first frame.
        grid: the frames of the recording.
        rng: all that is random comes from it.
        max_queries: queries of a user who asks many, at most.
        users: types of users to draw from.
    """
    pools = query_pools()
    user = rng.choice(list(users))
    most = {"silent": 0, "some": (max_queries + 1) // 2, "many": max_queries}[user]
    turns: dict[int, Turn] = {}
    for _ in range(rng.randint(1, most) if most else 0):
        about = rng.choice(QUERY_POOLS)
        frame = rng.randint(0, grid.last)
        turns.setdefault(frame, Turn(frame, frame / grid.fps, rng.choice(pools[about]), about))
    first = min(turns, default=0)
    for step in steps:
        for time, event in ((step.start, "begins"), (step.end, "ends")):
            if time is None or time > grid.seconds or (frame := grid.after(time)) < first:
                continue
            turns.setdefault(frame, Turn(frame, frame / grid.fps)).happens.append(f"{event}: {step.text}")
    if not turns:
        return None
    ordered = [turns[frame] for frame in sorted(turns)]
    start = max(ordered[0].frame - rng.randint(0, _MAX_WAITING_FRAMES), 0)
    instruction = "" if most else rng.choice(pools["standing"])
    return Skeleton(steps[0].recording, start, user, instruction, steps, ordered)
