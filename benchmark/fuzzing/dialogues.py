# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Lines of a dialogue file that are damaged: each is a dialogue, or is refused with a sentence that says where."""

import json

from hypothesis import strategies as st

from fuzzing import Refused
from fuzzing.damage import VALUES, damaged
from videollm_ros.data.dialogues import Dialogue, DialogueError, parse_dialogue

_messages = st.fixed_dictionaries(
    {"role": st.sampled_from(["stream", "user", "assistant", "system"]) | VALUES},
    optional={
        "num_frames": st.integers(-2, 9) | VALUES,
        "learn": st.booleans() | st.integers(-2, 9) | VALUES,
        "content": st.text(max_size=12) | VALUES,
        "answer": st.booleans() | VALUES,
    },
)
_lines = st.fixed_dictionaries(
    {
        "video": st.sampled_from(["a", "../a", "/a", ""]) | VALUES,
        "frames": st.lists(st.integers(-2, 30), min_size=2, max_size=2) | VALUES,
        "conversation": st.lists(_messages, max_size=6) | VALUES,
    }
)
_TURNS = {
    "stream": lambda count: {"role": "stream", "num_frames": count, "learn": True},
    "assistant": lambda count: {"role": "assistant", "content": f"Sentence {count}.", "learn": True},
    "user": lambda count: {"role": "user", "content": f"Query {count}?"},
}


@st.composite
def _sound_lines(draw: st.DrawFn) -> dict[str, object]:
    """A dialogue without fault, which damage then makes nearly one."""
    roles = ["stream", *draw(st.lists(st.sampled_from(["stream", "user"]), max_size=3)), "assistant"]
    messages = [_TURNS[role](draw(st.integers(1, 9))) for role in roles]
    frames = sum(int(message.get("num_frames", 0)) for message in messages)
    return {"video": "a", "frames": [0, frames], "conversation": messages}


LINES = _sound_lines() | _lines
cases = damaged((LINES | VALUES).map(json.dumps) | st.text(max_size=200))


def run(case: bytes) -> int:
    """Read a line. Returns 0: a dialogue takes next to nothing."""
    try:
        dialogue = parse_dialogue(case.decode(errors="replace"), "file:1")
    except DialogueError as error:
        if not str(error).startswith("file:1: "):
            raise TypeError(f"the error does not say where it is: {error}") from error
        raise Refused(error) from error
    if not isinstance(dialogue, Dialogue):
        raise TypeError(f"no dialogue was read: {dialogue!r}")
    return 0
