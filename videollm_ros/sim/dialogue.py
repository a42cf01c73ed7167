# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A simulated stream as a streaming dialogue: what is said at which frame, as training reads it."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from videollm_ros.sim.questions import Question
from videollm_ros.sim.sentences import DEFAULT_STYLE, event_text
from videollm_ros.sim.tabletop import Tabletop
from videollm_ros.sim.world import Event


@dataclass(frozen=True)
class Reply:
    """What is said after frame `frame`: about an event, or as the answer to a question."""

    frame: int
    text: str
    event: Event | None = None
    question: Question | None = None


def frame_after(time: float, fps: float) -> int:
    """The first frame that shows what happened at `time` [s]: times are rounded up to the next frame."""
    return math.ceil(round(time * fps, 6))


def replies(tabletop: Tabletop, fps: float = 2.0, questions: bool = True) -> list[Reply]:
    """All that should be said over the frames `tabletop.frames(fps)`, in order.

    Without `questions` only the events are told, in the default style, since nobody asks for another.

    Raises:
        ValueError: a rate so low that an event shares its frame with something else or lies past the end.
    """
    said, style = [], DEFAULT_STYLE
    asked = tabletop.questions if questions else []
    causes: list[Event | Question] = [*tabletop.events, *asked]
    for cause in sorted(causes, key=lambda cause: cause.time):
        frame = frame_after(cause.time, fps)
        if isinstance(cause, Question):
            style = cause.style or style
            said.append(Reply(frame, cause.answer, question=cause))
        else:
            said.append(Reply(frame, event_text(cause.kind, cause.item, style), event=cause))
    shared = [
        reply.frame for reply, other in pairwise(said) if reply.frame == other.frame and (reply.event or other.event)
    ]
    if shared or (said and said[-1].frame >= tabletop.num_frames(fps)):
        raise ValueError(
            f"at {fps} frames per second two replies fall on one frame of stream {tabletop.seed}, "
            "or one past its end: use at least 1 frame per second."
        )
    return said


def dialogue(
    tabletop: Tabletop,
    fps: float = 2.0,
    questions: bool = True,
    tail: bool = True,
    start: int = 0,
    stop: int | None = None,
) -> list[dict[str, Any]]:
    """The conversation over `tabletop.frames(fps, start, stop)`, as messages of the roles stream, user and assistant.

    A sentence follows the first frame that shows its event; a question follows the frame at its time and is
    answered at once, one after another where several are asked at one time. With `tail` the frames after the
    last reply close the conversation, so that all frames are in it; without, it ends with the last reply.

    Raises:
        ValueError: see `replies`.
    """
    stop = tabletop.num_frames(fps) if stop is None else stop
    messages, read = [], start
    for reply in replies(tabletop, fps, questions):
        if not start <= reply.frame < stop:
            continue
        if reply.frame + 1 > read:
            messages.append(_stream(reply.frame + 1 - read))
        if reply.question:
            messages.append({"role": "user", "content": reply.question.text})
        messages.append({"role": "assistant", "content": reply.text, "learn": True})
        read = reply.frame + 1
    if tail and read < stop:
        messages.append(_stream(stop - read))
    return messages


def to_record(tabletop: Tabletop, fps: float = 2.0, start: int = 0, **options: Any) -> dict[str, Any]:
    """Return the dialogue as one line of a dataset: `{"video", "frames": [start, stop], "conversation"}`."""
    conversation = dialogue(tabletop, fps, start=start, **options)
    stop = start + sum(message.get("num_frames", 0) for message in conversation)
    return {"video": f"tabletop-{tabletop.seed}", "frames": [start, stop], "conversation": conversation}


record = to_record
"""The name of earlier versions."""


def _stream(num_frames: int) -> dict[str, Any]:
    return {"role": "stream", "num_frames": num_frames, "learn": True}
