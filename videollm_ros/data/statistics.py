# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is in a file of dialogues, in numbers: one pass, with memory for the recordings and the distinct words only."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from videollm_ros.data.convert.tally import Tally
from videollm_ros.data.dialogues import Dialogue, DialogueError, parse_dialogue

_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")


@dataclass
class Statistics:
    """Counts over the dialogues of one file. Decisions are those of learned frames: to speak or to be silent."""

    dialogues: int = 0
    frames: int = 0
    queries: int = 0
    instructions: int = 0
    without_reply: int = 0
    silent: int = 0
    speaking: int = 0
    longest: int = 0
    repeated: int = 0
    replies: Counter[str] = field(default_factory=Counter)
    words: Counter[str] = field(default_factory=Counter)
    recordings: set[str] = field(default_factory=set)
    _seen: set[int] = field(default_factory=set, repr=False)

    @property
    def num_replies(self) -> int:
        """Return the number of all replies."""
        return self.replies.total()

    @property
    def silent_share(self) -> float:
        """Return the share of the learned decisions that is silence; 0 where nothing is learned."""
        return self.silent / max(self.silent + self.speaking, 1)

    def replies_per_minute(self, fps: float) -> float:
        """Return the replies per minute of frames at `fps` Hz."""
        return self.num_replies / max(self.frames / fps / 60, 1e-9)

    def add(self, dialogue: Dialogue) -> None:
        """Count a dialogue."""
        self.dialogues += 1
        self.frames += dialogue.num_frames
        self.longest = max(self.longest, dialogue.num_frames)
        self.recordings.add(dialogue.video)
        known, before = hash((dialogue.video, dialogue.frames, str(dialogue.conversation))), len(self._seen)
        self._seen.add(known)
        self.repeated += len(self._seen) == before
        roles = [message["role"] for message in dialogue.conversation]
        self.without_reply += "assistant" not in roles
        for number, message in enumerate(dialogue.conversation):
            if message["role"] == "stream":
                self._decide(message, roles[number + 1] if number + 1 < len(roles) else "")
            else:
                self._read(message)

    def _decide(self, stream: dict[str, object], following: str) -> None:
        frames, learn = int(str(stream["num_frames"])), stream.get("learn", False)
        learned = frames * learn if isinstance(learn, bool) else min(int(str(learn)), frames)
        last = learned == frames and following in ("assistant", "user")  # before a query it is nobody's decision
        self.speaking += last and following == "assistant"
        self.silent += learned - last

    def _read(self, message: dict[str, object]) -> None:
        text = str(message["content"])
        self.words.update(_WORD.findall(text))
        if message["role"] == "assistant":
            self.replies[text] += 1
        elif message["role"] == "user":
            self.instructions += message.get("answer") is False
            self.queries += message.get("answer") is not False


def readable_dialogues(path: Path, tally: Tally) -> Iterator[Dialogue]:
    """Yield the dialogues of a file; a line that is none is told and passed over.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                try:
                    yield parse_dialogue(line, f"{path}:{number}")
                except (DialogueError, AttributeError, KeyError, RecursionError, TypeError) as error:
                    tally.tell("lines that are no dialogue", str(error) or f"{path}:{number}: it is no dialogue.")
