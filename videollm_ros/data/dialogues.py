# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Dialogues on disk: one JSON line each, {"video": id, "frames": [start, stop], "conversation": [...]}."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROLES = ("system", "stream", "user", "assistant")


class DialogueError(ValueError):
    """A dialogue that cannot be trained on; the message says where it is and what was expected."""


@dataclass(frozen=True)
class Dialogue:
    """A conversation over the frames [start, stop) of a video; `source` is "file:line", for errors."""

    video: str
    frames: tuple[int, int]
    conversation: list[dict]
    source: str = "dialogue"

    @property
    def num_frames(self) -> int:
        return self.frames[1] - self.frames[0]

    def check(self, num_available: int | None = None) -> None:
        """Raise unless the conversation can be trained on with the frames there are.

        Args:
            num_available: frames that the video has, when known.

        Raises:
            DialogueError: an unknown role, an empty text, a stream without frames, a conversation that holds another
                number of frames than [start, stop) says, or a video shorter than its dialogue.
        """
        start, stop = self.frames
        if not 0 <= start < stop:
            self._fail(f"frames are [start, stop) with 0 <= start < stop, not [{start}, {stop}]")
        for number, message in enumerate(self.conversation):
            self._check_message(number, message)
        spoken_about = count_frames(self.conversation)
        if spoken_about != self.num_frames:
            self._fail(
                f"the conversation has stream turns of {spoken_about} frames in all, "
                f"but frames [{start}, {stop}] are {self.num_frames}"
            )
        if num_available is not None and stop > num_available:
            self._fail(f"the dialogue ends at frame {stop}, but the video {self.video} has only {num_available} frames")

    def _check_message(self, number: int, message: dict) -> None:
        role = message.get("role") if isinstance(message, dict) else None
        if role not in ROLES:
            self._fail(f"message {number} has the unknown role {role!r}; expected one of {', '.join(ROLES)}")
        if role == "stream":
            count = message.get("num_frames")
            if not isinstance(count, int) or isinstance(count, bool) or count < 1:
                self._fail(f"message {number} is a stream turn with num_frames {count!r}; expected an integer >= 1")
        elif not isinstance(message.get("content"), str) or not message["content"].strip():
            what = {"assistant": "an empty reply", "user": "an empty query"}.get(role, "an empty text")
            self._fail(f"message {number} is {what}: content is {message.get('content')!r}; expected a text")

    def _fail(self, reason: str) -> None:
        raise DialogueError(f"{self.source}: {reason}.")


def count_frames(conversation: Sequence[dict]) -> int:
    """Frames in all stream turns."""
    return sum(message["num_frames"] for message in conversation if message["role"] == "stream")


def read_dialogues(path: str | Path) -> list[Dialogue]:
    """Read and check the dialogues of a JSON-lines file; empty lines are skipped.

    Raises:
        DialogueError: the file is not there or holds none, or a line is no dialogue; file, line and what was expected.
    """
    path = Path(path)
    if not path.is_file():
        raise DialogueError(f"{path} is no file; expected dialogues, one JSON object per line.")
    dialogues = []
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    dialogues.append(parse_dialogue(line, f"{path}:{number}"))
    except UnicodeDecodeError as error:
        raise DialogueError(f"{path} is not UTF-8 text: {error}.") from error
    if not dialogues:
        raise DialogueError(f"{path} holds no dialogue; expected one JSON object per line.")
    return dialogues


def write_dialogues(dialogues: Sequence[Dialogue], path: str | Path) -> None:
    """Write dialogues as JSON lines."""
    with Path(path).open("w", encoding="utf-8") as file:
        for dialogue in dialogues:
            line = {"video": dialogue.video, "frames": list(dialogue.frames), "conversation": dialogue.conversation}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def parse_dialogue(line: str, source: str) -> Dialogue:
    """Read and check one line of a dialogue file; `source` says in errors where it is.

    Raises:
        DialogueError: the line is no dialogue.
    """
    try:
        fields = json.loads(line)
    except json.JSONDecodeError as error:
        raise DialogueError(f"{source}: not valid JSON: {error}.") from error
    expected = '{"video": id, "frames": [start, stop], "conversation": [...]}'
    if not isinstance(fields, dict) or not {"video", "frames", "conversation"} <= fields.keys():
        raise DialogueError(f"{source}: expected {expected}, got {line[:80]}.")
    frames, conversation = fields["frames"], fields["conversation"]
    if not isinstance(frames, list) or [type(value) for value in frames] != [int, int]:
        raise DialogueError(f"{source}: frames are two integers [start, stop], not {frames!r}.")
    if not isinstance(conversation, list) or not conversation:
        raise DialogueError(f"{source}: conversation is a list of messages, not {conversation!r}.")
    dialogue = Dialogue(str(fields["video"]), (frames[0], frames[1]), conversation, source)
    dialogue.check()
    return dialogue
