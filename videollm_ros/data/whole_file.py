# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A file that appears under its name when it is whole, or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


@contextmanager
def whole_file(path: Path) -> Iterator[TextIO]:
    """Open a text file for writing beside `path`. It takes that name at the end, or goes when an error is raised.

    Raises:
        OSError: the folder cannot be written to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # or a loss of power leaves the name with nothing behind it
        mask = os.umask(0)  # a temporary file is readable by its owner alone, a new file by whom the mask allows
        os.umask(mask)
        os.chmod(part, 0o666 & ~mask)
        os.replace(part, path)
    finally:
        Path(part).unlink(missing_ok=True)
