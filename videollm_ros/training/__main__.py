# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`python -m videollm_ros.training --config run.yaml`, also installed as `videollm-train`."""

from __future__ import annotations

import argparse
import logging
import sys
from dataclasses import replace
from pathlib import Path

from videollm_ros.data.dialogues import DialogueError
from videollm_ros.live import CheckpointError
from videollm_ros.training.config import TrainConfig
from videollm_ros.training.init import ask_and_write
from videollm_ros.training.yaml_dataclass import ConfigError


def main() -> int:
    """Train, or write a configuration. Return the exit code. What is wrong with the input is said in one line."""
    parser = argparse.ArgumentParser(prog="videollm-train", description="Train a LIVE model.")
    task = parser.add_mutually_exclusive_group(required=True)
    task.add_argument("--config", help="YAML file of the run; config/train/ has examples")
    task.add_argument("--init", metavar="FILE", type=Path, help="ask four questions and write a YAML file")
    parser.add_argument("--output", help="folder to write to, instead of the file's")
    parser.add_argument("--stop-after", metavar="STAGE", help="the last stage to run")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        if given.init is not None:
            ask_and_write(given.init)
            return 0
        # Hugging Face's Trainer takes seconds to import: not before the questions.
        from videollm_ros.training.run import train

        config = TrainConfig.load(given.config)
        if given.output:
            config = replace(config, output=given.output)
        folder = train(config, given.stop_after)
    except (ConfigError, DialogueError, CheckpointError) as error:
        print(f"videollm-train: {error}", file=sys.stderr)
        return 2
    print(f"videollm-train: the model is in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
