# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Keep a folder of results whole: results of one kind alone, and all files of a result or none."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SINGLE, SEVERAL, SWEEP, COMPARISON = "one recording", "several recordings", "a sweep", "a comparison"
BENCHMARK = "a benchmark"
_LAST = "metrics.json"  # takes its name after all others, so that it never describes files that are not there


class OutputError(OSError):
    """Say as a sentence why results cannot be written, and where."""


def check_output(folder: Path, kind: str) -> None:
    """Check before any work that results of a kind can be written into a folder. Leaves nothing behind.

    Raises:
        OutputError: the folder cannot be written to, or it holds results of another kind.
    """
    refuse_other_results(folder, kind)
    try:
        missing = [each for each in (folder, *folder.parents) if not each.exists()]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        finally:
            for each in missing:
                with suppress(OSError):
                    each.rmdir()
    except OSError as error:
        if folder.exists() and not folder.is_dir():
            raise OutputError(f"--output {folder} is a file, and a folder is expected.") from error
        raise OutputError(f"--output {folder} cannot be written to: {error.strerror}.") from error


def refuse_other_results(folder: Path, kind: str) -> None:
    """Keep results of another kind from being mixed with those of `kind`.

    Raises:
        OutputError: the folder holds results of another kind.
    """
    found = _kind_of(folder)
    if found not in (None, kind):
        raise OutputError(
            f"--output {folder} holds the results of {found}, and those of {kind} would be mixed with them: "
            "give another folder, or remove it."
        )


@contextmanager
def whole_result(folder: Path) -> Iterator[Path]:
    """Give a folder to write a result into. Its files move into `folder` together at the end, or none of them does.

    Raises:
        OutputError: they cannot be written. What `folder` held before is unchanged then.
    """
    staged = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        staged = Path(tempfile.mkdtemp(prefix=".result-", dir=folder))
        yield staged
        for path in sorted(staged.iterdir(), key=lambda path: path.name == _LAST):
            os.replace(path, folder / path.name)
    except OSError as error:
        name = Path(error.filename).name if isinstance(error.filename, str | Path) else ""
        path = folder / name if staged is not None and name else folder
        reason = error.strerror or error
        raise OutputError(f"{path} cannot be written: {reason}. What {folder} held before is unchanged.") from error
    finally:
        if staged is not None:
            shutil.rmtree(staged, ignore_errors=True)


@contextmanager
def naming(file: str) -> Iterator[None]:
    """Give an error of the operating system the name of the file that is being written, such as that of a full disk."""
    try:
        yield
    except OSError as error:
        error.filename = file
        raise


def _kind_of(folder: Path) -> str | None:
    """Return what a folder holds the results of. None when it holds none, or when one cannot tell."""
    try:
        if (folder / "run.json").is_file() and (folder / "items").is_dir():
            return BENCHMARK
        for file, kind in (("sweep.json", SWEEP), ("compare.json", COMPARISON)):
            if (folder / file).is_file():
                return kind
        if (folder / "utterances.jsonl").is_file():
            return SINGLE
        metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return SEVERAL if isinstance(metrics, dict) and "recordings" in metrics else None
