# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""JSON files of any size, one element at a time."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import ijson
from tqdm import tqdm

from videollm_ros.data.convert.tally import Tally

_LARGE = 64 * 2**20  # bytes from which on a bar shows how far the file was read


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    """Open a file as UTF-8 bytes; what is no UTF-8 becomes U+FFFD, which `checks.decoded` finds."""
    size = path.stat().st_size
    with path.open("rb") as raw:
        if raw.read(3) != codecs.BOM_UTF8:
            raw.seek(0)
        with tqdm.wrapattr(
            raw, "read", total=size, desc=path.name, disable=None if size > _LARGE else True, leave=False
        ) as file:
            yield _Utf8(file)


class _Utf8:
    """Reads bytes and gives them back as valid UTF-8."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def read(self, size: int) -> bytes:
        """Return about `size` bytes, and none at the end."""
        if size == 0:
            return b""
        while True:
            data = self._file.read(size)
            text = self._decoder.decode(data, final=not data)
            if text or not data:
                return text.encode()


def elements(path: Path, prefix: str, tally: Tally) -> Iterator[Any]:
    """Yield the elements of the list at `prefix` ("videos", "a.b", or "" for the file's own list)."""
    yield from _told(path, prefix, tally, "list", lambda file: ijson.items(file, _join(prefix), use_float=True))


def members(path: Path, prefix: str, tally: Tally) -> Iterator[tuple[str, Any]]:
    """Yield the names and values of the object at `prefix`."""
    yield from _told(path, prefix, tally, "object", lambda file: ijson.kvitems(file, prefix, use_float=True))


def _join(prefix: str) -> str:
    return f"{prefix}.item" if prefix else "item"


def _told(path: Path, prefix: str, tally: Tally, what: str, read: Any) -> Iterator[Any]:
    """Yield what can be read; say where a file is broken and what it lacks."""
    number = 0
    try:
        with _open(path) as file:
            for value in read(file):
                number += 1
                yield value
    except (ijson.JSONError, UnicodeDecodeError, OSError) as error:  # yajl lets half a surrogate pair through
        reason = str(error).splitlines()[0].strip() if str(error) else type(error).__name__
        tally.tell(
            "files that end early or are not valid",
            f"{path}: it cannot be read to its end: {reason}. The {number:,} entries before are used.",
        )
        return
    if not number:
        place = f"at {prefix!r}" if prefix else "in the file"
        tally.tell("files without annotations", f"{path}: there is no {what} with entries {place}.")
