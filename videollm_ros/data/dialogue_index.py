# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A dialogue file of any size as a sequence of samples: an index of it is kept on disk, and lines are read on demand.

The index has one row per sample: where its line starts, the line's number, and which frames of it are shown. It is
made once for a file and a way of cutting it, and memory-mapped afterwards.
"""

from __future__ import annotations

import atexit
import functools
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from tqdm import tqdm

from videollm_ros.data.dialogues import Dialogue, DialogueError, parse_dialogue

_ROW = np.dtype([("offset", "<i8"), ("line", "<i8"), ("start", "<i4"), ("stop", "<i4")])
_VERSION = 1
_ROWS_AT_ONCE = 65536
Parts = Callable[[Dialogue], list[tuple[int, int]]]
"""Checks a dialogue and returns the frames [start, stop) of each of its samples."""


class DialogueIndex:
    """The samples of a dialogue file. Sample i is a dialogue and the frames [start, stop) that are shown of it."""

    def __init__(self, path: str | Path, parts: Parts, cut: str, progress: bool = True) -> None:
        """Open the index of a file, and make it when there is none for the file as it is now.

        Args:
            path: a JSON-lines file of dialogues.
            parts: called once for every dialogue when the index is made.
            cut: names how `parts` cuts. An index that was made with another name is not used.
            progress: show a bar while the index is made.

        Raises:
            DialogueError: the file does not exist or holds no dialogue, or one of its lines is wrong.
        """
        self.path = Path(path)
        if not self.path.is_file():
            raise DialogueError(f"{path} is not a file; expected dialogues, one JSON object per line.")
        target = _folder() / f"{_key(self.path, cut)}.npy"
        if not target.is_file():
            _make(self.path, parts, target, progress)
        self._rows = np.load(target, mmap_mode="r")

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self._rows)

    def __getitem__(self, index: int) -> tuple[Dialogue, int, int]:
        """Read a sample: the whole dialogue, and the frames [start, stop) of the video that the sample shows."""
        offset, line, start, stop = self._rows[index].tolist()
        with self.path.open("rb") as file:
            file.seek(offset)
            text = file.readline()
        return parse_dialogue(text, f"{self.path}:{line}"), start, stop


def _folder() -> Path:
    """Return the folder of the indexes, below the user's cache folder, or a temporary one where that is read-only."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "videollm_ros" / "dialogues"
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError:
        return _temporary_folder()
    return cache if os.access(cache, os.W_OK) else _temporary_folder()


@functools.cache
def _temporary_folder() -> Path:
    """Make a folder that lasts as long as the process."""
    folder = Path(tempfile.mkdtemp(prefix="videollm_ros-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def file_digest(path: str | Path) -> str | None:
    """Return the SHA-256 of a file's content, or None when there is no such file.

    It is computed once for a file as it is, by size and time of change.
    """
    path = Path(path)
    if not path.is_file():
        return None
    known = _folder() / f"{_key(path, 'digest')}.sha256"
    if known.is_file():
        return known.read_text()
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    with tempfile.NamedTemporaryFile("w", dir=known.parent, delete=False) as partial:
        partial.write(digest.hexdigest())
    os.replace(partial.name, known)
    return digest.hexdigest()


def _key(path: Path, purpose: str) -> str:
    """Return a name for what is known of a file as it is now."""
    status = path.stat()
    state = [_VERSION, str(path.resolve()), status.st_size, status.st_mtime_ns, purpose]
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()[:32]


def _make(path: Path, parts: Parts, target: Path, progress: bool) -> None:
    """Read a whole file and write its index, so that other processes see all of the index or nothing."""
    with tempfile.TemporaryFile(dir=target.parent) as raw:
        rows = _rows(path, parts, progress)
        while block := list(islice(rows, _ROWS_AT_ONCE)):
            raw.write(np.array(block, _ROW).tobytes())
        num_rows = raw.tell() // _ROW.itemsize
        if not num_rows:
            raise DialogueError(f"{path} holds no dialogue; expected one JSON object per line.")
        raw.flush()
        with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as partial:
            np.save(partial, np.memmap(raw, _ROW, "r", shape=(num_rows,)))
    os.replace(partial.name, target)


def _rows(path: Path, parts: Parts, progress: bool) -> Iterator[tuple[int, int, int, int]]:
    offset, size, title = 0, path.stat().st_size, f"indexing {path.name}"
    bar = tqdm(desc=title, total=size, unit="B", unit_scale=True, delay=2, disable=not progress)
    with path.open("rb") as lines, bar:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                for start, stop in parts(parse_dialogue(line, f"{path}:{number}")):
                    yield offset, number, start, stop
            offset += len(line)
            bar.update(len(line))
