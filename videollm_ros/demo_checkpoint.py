# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the demo checkpoint lies: in the source tree, or in the share folder of what was installed."""

from pathlib import Path

_PLACES = ("checkpoints/demo", "share/videollm_ros/checkpoints/demo")


def demo_checkpoint() -> Path:
    """The folder of the checkpoint that ships with the package.

    Raises:
        FileNotFoundError: it was not installed.
    """
    for parent in Path(__file__).resolve().parents:
        for place in _PLACES:
            if (parent / place / "live_config.json").is_file():
                return parent / place
    raise FileNotFoundError("The demo checkpoint is not installed: name a folder, or take the one of the source tree.")
