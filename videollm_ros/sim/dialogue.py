# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A simulated stream as a streaming dialogue: what is said at which frame, in the form that training reads."""

import math

import numpy as np

from .sentences import DEFAULT_STYLE, REQUESTS, STYLES, event_text
from .tabletop import Tabletop

NO_REQUEST = 0.25  # share of streams in which nobody asks for anything at the start
STYLE_SHARES = {"plain": 0.4, "brief": 0.2, "full": 0.2, "viewer": 0.2}  # of the others


def opening(seed: int) -> tuple[str, str | None]:
    """The (style, request) that a stream opens with, drawn from its seed; without a request the default style."""
    rng = np.random.default_rng((seed, 4))
    if rng.random() < NO_REQUEST:
        return DEFAULT_STYLE, None
    style = str(rng.choice(list(STYLE_SHARES), p=list(STYLE_SHARES.values())))
    return style, str(rng.choice(REQUESTS[style]))


def frame_after(time: float, fps: float) -> int:
    """The first frame that shows what happened at `time` [s]: times are rounded up to the next frame."""
    return math.ceil(round(time * fps, 6))


def dialogue(
    tabletop: Tabletop,
    fps: float = 2.0,
    *,
    style: str | None = None,
    questions: bool = True,
    tail: bool = True,
) -> list[dict]:
    """The conversation over the frames `tabletop.frames(fps)`, as messages of roles stream, user and assistant.

    A sentence follows the first frame that shows its event; a question follows the frame at its time and is answered
    at once. Style and opening request are drawn from the seed unless `style` is given (then its first request is
    used). With `tail` the frames after the last reply close the conversation, so that all frames are in it;
    without, it ends with the last reply.

    Raises:
        ValueError: unknown style, or a rate so low that two things happen between two frames.
    """
    if style is None:
        style, request = opening(tabletop.seed)
    elif style in REQUESTS:
        request = REQUESTS[style][0]
    else:
        raise ValueError(f"style {style!r} was asked for: it must be one of {', '.join(STYLES)}.")
    turns = [
        (event.time, [_assistant(event_text(event.kind, event.item, style))]) for event in tabletop.events
    ]
    for question in tabletop.questions if questions else ():
        turns.append((question.time, [_user(question.text), _assistant(question.answer_in(style))]))
    messages = [_user(request)] if request else []
    read, count = 0, tabletop.num_frames(fps)
    for time, said in sorted(turns, key=lambda turn: turn[0]):
        frames = frame_after(time, fps) + 1
        if frames == read or frames > count:
            raise ValueError(
                f"at {fps} frames per second two things fall on one frame, or one past the end ({time} s of stream "
                f"{tabletop.seed}): use at least 1."
            )
        messages += [_stream(frames - read), *said]
        read = frames
    if tail and read < count:
        messages.append(_stream(count - read))
    return messages


def record(tabletop: Tabletop, fps: float = 2.0, **options) -> dict:
    """The dialogue as one line of a dataset: `{"video", "frames": [start, stop], "conversation"}`."""
    conversation = dialogue(tabletop, fps, **options)
    frames = sum(message.get("num_frames", 0) for message in conversation)
    return {"video": f"tabletop-{tabletop.seed}", "frames": [0, frames], "conversation": conversation}


def _stream(num_frames: int) -> dict:
    return {"role": "stream", "num_frames": num_frames, "learn": True}


def _user(text: str) -> dict:
    return {"role": "user", "content": text}


def _assistant(text: str) -> dict:
    return {"role": "assistant", "content": text, "learn": True}
