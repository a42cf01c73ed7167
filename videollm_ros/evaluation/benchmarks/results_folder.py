# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Keep what every item of a benchmark gave in a file of its own, so that a run that was killed goes on."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from videollm_ros.data.whole_file import whole_file
from videollm_ros.evaluation.benchmarks.benchmark import Record


class ResultsFolder:
    """Hold the records of one run of a benchmark in `FOLDER/items`, each under a hash of the item's id."""

    def __init__(self, folder: Path) -> None:
        """Take the folder, which need not exist."""
        self._items = folder / "items"
        self._run = folder / "run.json"

    def begin(self, description: dict[str, Any]) -> None:
        """Note what is run, or check that the folder holds results of the same.

        Raises:
            ValueError: the folder holds results of another run, or one cannot tell of which.
            OSError: it cannot be written to.
        """
        wanted = json.loads(json.dumps(description))
        if self._run.is_file():
            found = self._read_run()
            differing = sorted(key for key in {*found, *wanted} if found.get(key) != wanted.get(key))
            if differing:
                raise ValueError(
                    f"{self._run.parent} holds results of another run ({', '.join(differing)} differ): "
                    "give another --output, or remove it."
                )
            return
        self._items.mkdir(parents=True, exist_ok=True)
        with whole_file(self._run) as file:
            json.dump(wanted, file, indent=2)

    def read(self, item: str) -> Record | None:
        """Return the record of an item. None when it was not run, or its file is damaged."""
        try:
            return Record.from_json(json.loads(self._path(item).read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def is_done(self, item: str, footage: str) -> bool:
        """Return whether an item was run without an error on this footage."""
        record = self.read(item)
        return record is not None and not record.error and record.footage == footage

    def write(self, item: str, record: Record) -> None:
        """Store the record of an item. The file appears when it is whole.

        Raises:
            ValueError: a value is not finite, which JSON cannot hold.
            OSError: it cannot be written.
        """
        with whole_file(self._path(item)) as file:
            json.dump(record.to_json(), file, ensure_ascii=False, allow_nan=False)

    def _read_run(self) -> dict[str, Any]:
        try:
            found = json.loads(self._run.read_text(encoding="utf-8"))
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise ValueError(f"{self._run} is damaged: remove {self._run.parent}, or give another --output.")
        return found

    def _path(self, item: str) -> Path:
        return self._items / f"{hashlib.sha256(item.encode()).hexdigest()[:24]}.json"
