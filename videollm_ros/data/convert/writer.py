# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Dialogues to a file that is whole or not there at all."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from videollm_ros.data.convert.tally import Tally
from videollm_ros.data.dialogues import Dialogue, DialogueError
from videollm_ros.data.whole_file import whole_file


@dataclass
class Written:
    """What a file holds."""

    dialogues: int = 0
    frames: int = 0
    replies: int = 0
    queries: int = 0


def write_lines(lines: Iterable[dict[str, Any]], path: Path, tally: Tally) -> Written:
    """Check the dialogues and write them as JSON lines; without any, nothing is written.

    A dialogue that training could not read is told and left out. The file appears under its name when it is whole.

    Raises:
        OSError: the folder cannot be written to.
    """
    written = Written()
    with suppress(_NothingToWriteError), whole_file(path) as file:
        for line in lines:
            if _is_good(line, tally):
                file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
                _count(written, line)
        if not written.dialogues:
            raise _NothingToWriteError
    return written


class _NothingToWriteError(Exception):
    """No dialogue came, so that no file is made."""


def _is_good(line: dict[str, Any], tally: Tally) -> bool:
    start, stop = line["frames"]
    if start == stop:
        tally.tell(
            "dialogues without a frame", f"{line['video']}: a dialogue at frame {start} has no frame. It is left out."
        )
        return False
    try:
        Dialogue(line["video"], (start, stop), line["conversation"], line["video"]).check()
    except DialogueError as error:
        tally.tell("dialogues that cannot be trained on", f"{error} It is left out.")
        return False
    return True


def _count(written: Written, line: dict[str, Any]) -> None:
    roles = [message["role"] for message in line["conversation"]]
    written.dialogues += 1
    written.frames += line["frames"][1] - line["frames"][0]
    written.replies += roles.count("assistant")
    written.queries += roles.count("user")
