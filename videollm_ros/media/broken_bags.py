# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Say what is there instead of a rosbag2 recording that can be opened, and what to do about it."""

from __future__ import annotations

from pathlib import Path

_STORAGES = (".mcap", ".db3")
_MOST_NAMES = 8


def explain_unreadable(path: Path, reason: str) -> str:
    """Say why a path cannot be read as a bag.

    Args:
        path: a file or a folder.
        reason: what the library says.
    """
    said = f"{path} cannot be read as a rosbag2 recording: "
    if not path.is_dir():
        return said + _explain_file(path, reason)
    if (path / "metadata.yaml").is_file():
        files = [each for each in sorted(path.iterdir()) if each.suffix in _STORAGES]
        return said + f"{reason}. It holds {_list(sorted(path.iterdir()))}. {_repair(path, files)}".rstrip()
    names = sorted(path.iterdir())
    if not names:
        return said + "the folder is empty."
    bags = [each for each in names if (each / "metadata.yaml").is_file()]
    if bags:
        return said + f"it is a folder of recordings. Name them: {' '.join(str(each) for each in bags[:_MOST_NAMES])}."
    files = [each for each in names if each.suffix in _STORAGES]
    if not files:
        return said + f"it has no metadata.yaml, and neither an .mcap nor a .db3 file. It holds {_list(names)}."
    advice = f"Pass {files[0]}, or write" if len(files) == 1 else "Write"
    return said + (
        "it has no metadata.yaml, as when the recorder was killed. "
        f"It holds {_list(names)}. {advice} the missing file: ros2 bag reindex {path}."
    )


def _explain_file(path: Path, reason: str) -> str:
    if not path.is_file():
        return "it is neither a folder nor a file."
    return f"{reason}. It is a file of {path.stat().st_size} bytes. {_repair(path, [path])}".rstrip()


def _repair(path: Path, files: list[Path]) -> str:
    """Say how to repair a file whose end is missing."""
    if any(each.suffix == ".mcap" for each in files):
        return (
            "An .mcap file without its end was not closed, or not copied whole: "
            "copy it again, or repair it with mcap recover."
        )
    if any(each.suffix == ".db3" for each in files):
        return "Copy it again, or repair it with the .recover command of sqlite3."
    return ""


def _list(paths: list[Path]) -> str:
    names = [each.name for each in paths]
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more
