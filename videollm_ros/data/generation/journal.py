# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Keep results where a killed run finds them: JSON lines that are only added to, each on disk before it counts."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from videollm_ros.data.convert.request import RequestError


class Journal:
    """Results by key. What is good goes to `path`, what was put aside to NAME.rejected.jsonl beside it.

    A key is in one of the files or in none, and never twice. One process writes at a time. Use it as a context manager.

    Args:
        path: the file of the good results.
    """

    def __init__(self, path: Path) -> None:
        """Read which keys are there, and cut off a line that a killed run left half written.

        Raises:
            RequestError: another process writes it, or it has lines of another kind.
            OSError: it cannot be written.
        """
        self.rejected_path = path.with_name(f"{path.stem}.rejected.jsonl")
        self.tokens = [0, 0]
        """Tokens of all requests so far, also of earlier runs: of the prompts, and of the answers."""
        self._keys: set[str] = set()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._files = []
        try:
            for each in (path, self.rejected_path):
                self._files.append(_open(each))
                for line in _lines(self._files[-1], each):
                    self._keys.add(line["key"])
                    self.tokens = [had + more for had, more in zip(self.tokens, line["tokens"], strict=True)]
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Journal:
        """Return itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the files."""
        self.close()

    def __contains__(self, key: str) -> bool:
        """Return whether there is a result, good or put aside."""
        return key in self._keys

    def add(self, key: str, values: dict[str, Any], tokens: tuple[int, int]) -> None:
        """Keep a good result. It is on disk when this returns."""
        self._append(0, key, values, tokens)

    def reject(self, key: str, values: dict[str, Any], tokens: tuple[int, int]) -> None:
        """Put a result aside. It is on disk when this returns."""
        self._append(1, key, values, tokens)

    def close(self) -> None:
        """Close the files."""
        for file in self._files:
            os.close(file)
        self._files = []

    def _append(self, which: int, key: str, values: dict[str, Any], tokens: tuple[int, int]) -> None:
        line = json.dumps({**values, "key": key, "tokens": tokens}, ensure_ascii=False, allow_nan=False) + "\n"
        data = line.encode()
        while data:
            data = data[os.write(self._files[which], data) :]
        os.fsync(self._files[which])
        self._keys.add(key)
        self.tokens = [had + more for had, more in zip(self.tokens, tokens, strict=True)]


def _open(path: Path) -> int:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(file)
        raise RequestError(f"Another process writes {path}. Wait until it has ended, or give another file.") from error
    return file


def _lines(file: int, path: Path) -> Iterator[dict[str, Any]]:
    with open(os.dup(file), "rb") as reader:
        size = 0
        for number, data in enumerate(reader, start=1):
            if not data.endswith(b"\n"):  # a kill came in the middle of it
                os.ftruncate(file, size)
                return
            size += len(data)
            try:
                line = json.loads(data)
                if not isinstance(line["key"], str) or len(line["tokens"]) != 2:
                    raise ValueError("it has no key")
            except (ValueError, KeyError, TypeError) as error:
                reason = "The file was not written by this command. Give a new file."
                raise RequestError(f"{path}:{number}: the line is no result ({error!r:.80}). {reason}") from error
            yield line
