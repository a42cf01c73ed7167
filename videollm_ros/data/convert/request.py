# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a conversion is asked for: files, rate, split and the settings of single sources."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from videollm_ros.data.convert.grid import FrameGrid
from videollm_ros.data.convert.store import Store
from videollm_ros.data.convert.tally import AnnotationError, Tally

_T = TypeVar("_T")


class RequestError(ValueError):
    """A conversion that cannot begin, and why, as a sentence."""


@dataclass
class Request:
    """A conversion. `annotations` are files, folders or topics of bags; the rest is what the command was told."""

    source: str
    annotations: list[str]
    fps: float = 2.0
    split: str = ""
    seed: int = 0
    instruction: str | None = None
    no_instruction: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    store: Store = field(default_factory=Store)
    tally: Tally = field(default_factory=Tally)
    _unknown: set[str] = field(default_factory=set)

    def grid(self, recording: str) -> FrameGrid | None:
        """Return the frames of a recording, or None where its duration is not known, which is told."""
        seconds = self.store.duration(recording)
        if seconds is None and recording not in self._unknown:
            self._unknown.add(recording)
            self.tally.tell(
                "annotated recordings without a duration", f"{recording}: it has no duration. It is left out."
            )
        return None if seconds is None else FrameGrid.over(seconds, self.fps)

    def draw(self, *what: object) -> random.Random:
        """Return a random generator that depends on the seed and on `what` alone, not on what was drawn before."""
        return random.Random(repr((self.seed, *what)))

    def each(self, where: str, dialogues: Callable[..., Iterable[_T]], *arguments: Any) -> list[_T]:
        """Return what `dialogues(self, *arguments)` makes of one entry; an entry that cannot be used is told."""
        try:
            return list(dialogues(self, *arguments))
        except AnnotationError as error:
            self.tally.error(where, error)
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            kind = AnnotationError("entries of another form", f"It has not the form of {self.source} ({error!r:.100}).")
            self.tally.error(where, kind)
        return []

    def files(self) -> list[Path]:
        """Return the annotation files and folders.

        Raises:
            RequestError: none was given, or one is not there.
        """
        if not self.annotations:
            raise RequestError(f"{self.source} needs --annotations: a file, or the folder that holds the files.")
        paths = [Path(each) for each in self.annotations]
        for path in paths:
            if not path.exists():
                raise RequestError(f"--annotations {path} is not there.")
        return paths

    def locate(self, *names: str) -> Path:
        """Return the first of the public file names that is given, in a folder given, or beside a file given.

        Raises:
            RequestError: none of them is there. A single file of another name stands for the first name.
        """
        paths = self.files()
        folders = [path if path.is_dir() else path.parent for path in paths]
        for name in names:
            for candidate in [path for path in paths if path.name == name] + [folder / name for folder in folders]:
                if candidate.is_file():
                    return candidate
        given = ", ".join(str(path) for path in paths)
        raise RequestError(f"{self.source} reads {' or '.join(names)}, which is not in {given}.")

    def main_file(self, *names: str) -> Path:
        """Return the file as `locate` does; one given file of any other name is taken for it.

        Raises:
            RequestError: several files or a folder are given and none has one of the names.
        """
        paths = self.files()
        if len(paths) == 1 and paths[0].is_file():
            return paths[0]
        return self.locate(*names)


Converter = Callable[[Request], Iterator[dict[str, Any]]]
"""Yields dialogues as lines of a file; what it leaves out it tells `request.tally`."""
