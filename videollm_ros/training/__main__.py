# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`python -m videollm_ros.training --config run.yaml`, also installed as `videollm-train`.

The command puts training and evaluation together; nothing else in this folder knows what is above it.
"""

from __future__ import annotations

import argparse
import logging
import sys
from dataclasses import replace

from videollm_ros.data.dialogues import DialogueError
from videollm_ros.live import CheckpointError
from videollm_ros.training.config import ConfigError, TrainConfig


def main() -> int:
    """Train; returns the exit code. What is wrong with the input is said in one line."""
    parser = argparse.ArgumentParser(prog="videollm-train", description="Train a LIVE model.")
    parser.add_argument("--config", required=True, help="YAML file of the run; config/train/ has examples")
    parser.add_argument("--output", help="folder to write to, instead of the file's")
    parser.add_argument("--stop-after", metavar="STAGE", help="the last stage to run")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    from videollm_ros.evaluation.held_out import HeldOut
    from videollm_ros.training.run import train

    try:
        config = TrainConfig.load(given.config)
        if given.output:
            config = replace(config, output=given.output)
        folder = train(config, given.stop_after, HeldOut)
    except (ConfigError, DialogueError, CheckpointError) as error:
        print(f"videollm-train: {error}", file=sys.stderr)
        return 2
    print(f"videollm-train: the model is in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
