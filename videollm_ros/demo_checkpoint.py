# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the demo checkpoint lies: in the source tree, or in the share folder of what was installed."""

from pathlib import Path

KNOWS_THE_TABLE = (
    "The checkpoint of the demo knows only the simulator's table: of other footage it says nothing that is true. "
    "For real footage take a published checkpoint, such as chenjoya/videollm-online-8b-v1plus (docs/ros.md)."
)
_PLACES = ("checkpoints/demo", "share/videollm_ros/checkpoints/demo")


def demo_checkpoint() -> Path:
    """Return the folder of the checkpoint that ships with the package.

    Raises:
        FileNotFoundError: it was not installed.
    """
    for parent in Path(__file__).resolve().parents:
        for place in _PLACES:
            if (parent / place / "live_config.json").is_file():
                return parent / place
    raise FileNotFoundError("The demo checkpoint is not installed: name a folder, or take the one of the source tree.")


def is_demo_checkpoint(checkpoint: str) -> bool:
    """Return whether a hub id or folder is the checkpoint that ships with the package, or a folder of links to it."""
    try:
        return (Path(checkpoint) / "live_config.json").resolve() == (demo_checkpoint() / "live_config.json").resolve()
    except FileNotFoundError:
        return False
