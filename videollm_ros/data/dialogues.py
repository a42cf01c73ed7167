# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Dialogues on disk: one JSON line each, {"video": id, "frames": [start, stop], "conversation": [...]}."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

ROLES = ("system", "stream", "user", "assistant")
Message = dict[str, Any]


class DialogueError(ValueError):
    """A dialogue cannot be trained on. The message says where it is and what was expected."""


@dataclass(frozen=True)
class Dialogue:
    """A conversation over the frames [start, stop) of a video."""

    video: str
    """Id of the video. Its files are named after it. Empty when the conversation has no frames."""
    frames: tuple[int, int]
    """First frame and the frame after the last one. Both are equal when the conversation has no frames."""
    conversation: list[Message]
    source: str = "dialogue"
    """Where the dialogue comes from, "file:line", for errors."""
    forgotten: int = 0
    """Frames at the start of the conversation that a bounded context no longer holds. They lie before `frames`."""

    @property
    def num_frames(self) -> int:
        """Number of frames that are shown."""
        return self.frames[1] - self.frames[0]

    def check(self, num_available: int | None = None) -> None:
        """Raise unless the conversation can be trained on with the frames there are.

        Args:
            num_available: number of frames of the video, when known.

        Raises:
            DialogueError: an unknown role, an empty text, a stream without frames, a conversation with another number
                of frames than [start, stop), a video id that leaves its folder, or a video that is too short.
        """
        start, stop = self.frames
        if not 0 <= start <= stop:
            self.fail(f"frames are [start, stop) with 0 <= start <= stop, not [{start}, {stop}]")
        for number, message in enumerate(self.conversation):
            self._check_message(number, message)
            self._check_order(number)
        spoken_about = count_frames(self.conversation) - self.forgotten
        if spoken_about != self.num_frames:
            self.fail(
                f"the conversation has stream turns of {spoken_about} frames in all, "
                f"but frames [{start}, {stop}] are {self.num_frames}"
            )
        if self.video or self.num_frames:
            try:
                check_video_id(self.video)
            except ValueError as error:
                self.fail(str(error))
        if num_available is not None and stop > num_available:
            self.fail(f"the dialogue ends at frame {stop}, but the video {self.video} has only {num_available} frames")

    def _check_order(self, number: int) -> None:
        """Raise when a turn cannot stand where it does."""
        role = self.conversation[number]["role"]
        if number == 0:
            if role == "assistant":
                self.fail("message 0 has the role assistant, which cannot come first")
            return
        previous = self.conversation[number - 1]
        if role == "system" or (role == "assistant" and previous["role"] in ("assistant", "system")):
            self.fail(f"message {number} has the role {role}, which cannot follow {previous['role']}")
        if role == "assistant" and is_instruction(previous):
            self.fail(f"message {number} answers an instruction, which has answer false")

    def fail(self, reason: str) -> NoReturn:
        """Raise a DialogueError that says where this dialogue comes from."""
        raise DialogueError(f"{self.source}: {reason}.")

    def _check_message(self, number: int, message: Message) -> None:
        role = message.get("role") if isinstance(message, dict) else None
        if role not in ROLES:
            self.fail(f"message {number} has the unknown role {role!r}; expected one of {', '.join(ROLES)}")
        learn = message.get("learn", False)
        if not isinstance(learn, int) or learn < 0:
            self.fail(f"message {number} has learn {learn!r}; expected true, false or a number of frames")
        if role == "stream":
            count = message.get("num_frames")
            if not isinstance(count, int) or isinstance(count, bool) or count < 1:
                self.fail(f"message {number} is a stream turn with num_frames {count!r}; expected an integer >= 1")
            return
        if not isinstance(message.get("content"), str) or not message["content"].strip():
            what = {"assistant": "an empty reply", "user": "an empty query"}.get(role, "an empty text")
            self.fail(f"message {number} is {what}: content is {message.get('content')!r}; expected a text")
        if not isinstance(message.get("answer", True), bool) or ("answer" in message and role != "user"):
            self.fail(f"message {number} has answer {message['answer']!r}; only a user turn has one, true or false")
        try:
            message["content"].encode()
        except UnicodeEncodeError as error:
            self.fail(f"message {number} is not valid text: {error}")


def is_instruction(message: Message) -> bool:
    """Return whether a message is a standing instruction: read, not answered, and never forgotten."""
    return message["role"] == "user" and message.get("answer") is False


def check_video_id(video: str) -> None:
    """Raise unless a video id names a file below its folder.

    Raises:
        ValueError: the id is empty, absolute, or has a part "..".
    """
    path = PurePosixPath(video)
    if not video or "\0" in video or path.is_absolute() or not path.parts or ".." in path.parts:
        raise ValueError(
            f"the video id {video!r} is not allowed: it names a file below the data folder, "
            'so it cannot be empty or absolute and has no part ".."'
        )


def count_frames(conversation: Iterable[Message]) -> int:
    """Return the number of frames in all stream turns."""
    return sum(message["num_frames"] for message in conversation if message["role"] == "stream")


def read_dialogues(path: str | Path) -> list[Dialogue]:
    """Read and check all dialogues of a JSON-lines file. Empty lines are skipped.

    Raises:
        DialogueError: the file does not exist or holds no dialogue, or a line is not a dialogue.
    """
    path = Path(path)
    if not path.is_file():
        raise DialogueError(f"{path} is not a file; expected dialogues, one JSON object per line.")
    dialogues = []
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                dialogues.append(parse_dialogue(line, f"{path}:{number}"))
    if not dialogues:
        raise DialogueError(f"{path} holds no dialogue; expected one JSON object per line.")
    return dialogues


def write_dialogues(dialogues: Sequence[Dialogue], path: str | Path) -> None:
    """Write dialogues as JSON lines."""
    with Path(path).open("w", encoding="utf-8") as file:
        for dialogue in dialogues:
            line = {"video": dialogue.video, "frames": list(dialogue.frames), "conversation": dialogue.conversation}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def parse_dialogue(line: bytes | str, source: str) -> Dialogue:
    """Read and check one line of a dialogue file.

    Args:
        line: UTF-8 text.
        source: where the line is, for errors.

    Raises:
        DialogueError: the line is not a dialogue.
    """
    try:
        fields = json.loads(line.decode() if isinstance(line, bytes) else line)
    except UnicodeDecodeError as error:
        raise DialogueError(f"{source}: not UTF-8 text: {error}.") from error
    except (json.JSONDecodeError, RecursionError) as error:
        raise DialogueError(f"{source}: not valid JSON: {error}.") from error
    expected = '{"video": id, "frames": [start, stop], "conversation": [...]}'
    if not isinstance(fields, dict) or not {"video", "frames", "conversation"} <= fields.keys():
        raise DialogueError(f"{source}: expected {expected}, got {str(fields)[:80]}.")
    frames, conversation = fields["frames"], fields["conversation"]
    if not isinstance(frames, list) or [type(value) for value in frames] != [int, int]:
        raise DialogueError(f"{source}: frames are two integers [start, stop], not {frames!r}.")
    if not isinstance(conversation, list) or not conversation:
        raise DialogueError(f"{source}: conversation is a list of messages, not {conversation!r}.")
    video = "" if fields["video"] is None else str(fields["video"])
    dialogue = Dialogue(video, (frames[0], frames[1]), conversation, source)
    dialogue.check()
    return dialogue
