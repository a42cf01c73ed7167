# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ego4D GoalStep livechat, conversations with times that an LLM wrote over the steps of a task, as dialogues."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from videollm_ros.data.convert.checks import recording_id, seconds, words
from videollm_ros.data.convert.conversation import Conversation
from videollm_ros.data.convert.grid import FrameGrid
from videollm_ros.data.convert.json_stream import elements
from videollm_ros.data.convert.request import Request
from videollm_ros.data.convert.tally import AnnotationError

_QUOTED_TIME = re.compile(r"\b\d+(\.\d+)?\s?(s|sec|secs|seconds?|minutes?)\b", re.IGNORECASE)
_SHORTEST, _LONGEST = 60.0, 3600.0  # seconds, of a conversation that passes the filter
_Message = tuple[str, float, str]


def livechat(request: Request) -> Iterator[dict[str, Any]]:
    """Yield one dialogue per conversation of `goalstep_livechat_trainval_filtered_21k.json`; it knows no splits."""
    path = request.main_file("goalstep_livechat_trainval_filtered_21k.json")
    for number, entry in enumerate(elements(path, "", request.tally)):
        yield from request.each(f"{path.name}: conversation {number}", _dialogue, entry, number)


def _dialogue(request: Request, entry: dict[str, Any], number: int) -> Iterator[dict[str, Any]]:
    video = recording_id(entry.get("video_uid"))
    messages = [_message(each) for each in entry.get("conversation") or []]
    grid = request.grid(video)
    if grid is None:
        return
    if not messages or messages[0][0] != "user" or not 0 < messages[0][1] * grid.fps <= grid.last:
        raise AnnotationError(
            "conversations that no user opens", "A user's words inside the video were expected as the first message."
        )
    if request.options.get("filter"):
        _filter(messages)
    opened = grid.before(messages[0][1])
    most = min(int(request.options.get("waiting_frames") or 0), opened)
    waiting = request.draw(number, video).randint(0, most)
    conversation = Conversation(opened + 1 - waiting)
    conversation.watch(opened + 1, learn=waiting - 1)
    conversation.ask(messages[0][2])
    _follow(conversation, messages, grid, request, f"{video}: conversation {number}")
    yield conversation.line(video)


def _message(entry: dict[str, Any]) -> _Message:
    if entry.get("role") not in ("user", "assistant"):
        raise AnnotationError("messages of another role", f"The role is {entry.get('role')!r}, not user or assistant.")
    return entry["role"], seconds(entry.get("time")), words(entry.get("content"))


def _filter(messages: list[_Message]) -> None:
    """Refuse a conversation that is shorter than a minute or longer than an hour, or that quotes a time."""
    if not _SHORTEST <= messages[-1][1] - messages[0][1] <= _LONGEST:
        raise AnnotationError("conversations under a minute or over an hour", "It is too short or too long.")
    for _, _, text in messages:
        if _QUOTED_TIME.search(text):
            raise AnnotationError("conversations that quote a time", f"It says {text[:80]!r}.")


def _follow(
    conversation: Conversation, messages: list[_Message], grid: FrameGrid, request: Request, where: str
) -> None:
    """Add what follows the first message, up to one that is out of order or past the end of the video.

    A user's words follow the last frame before their time, a reply the first frame at its time. A reply at the time of
    a query answers it at once, one at the time of another reply replaces it, and one on a frame that has a message
    already is left out.
    """
    time = messages[0][1]
    for role, at, text in messages[1:]:
        if at * grid.fps > grid.last or at < time or (at == time and role == "user"):
            break
        frame = grid.before(at) if role == "user" else grid.after(at)
        if at == time and conversation.speaker == "assistant":
            conversation.messages[-1]["content"] = text
        elif at == time:
            conversation.say(text)
        elif role == "user":
            conversation.watch(frame + 1)
            conversation.ask(text)
        elif frame >= conversation.stop:
            conversation.watch(frame + 1)
            conversation.say(text)
        else:
            request.tally.tell(
                "replies on a frame that has a message", f"{where}: {text[:60]!r} shares its frame. It is left out."
            )
            continue
        time = at
