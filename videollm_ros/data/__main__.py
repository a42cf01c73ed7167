# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`python -m videollm_ros.data COMMAND ...`: from recordings and annotations to what training reads."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from tqdm.contrib.logging import logging_redirect_tqdm

from videollm_ros.data import check, durations, features_command, generate_command, refine_command, show
from videollm_ros.data.convert import command as convert
from videollm_ros.data.convert.request import RequestError
from videollm_ros.data.dialogues import DialogueError
from videollm_ros.live import CheckpointError

# Each has add_arguments(parser) and run(arguments) -> exit code.
_COMMANDS = {
    "convert": (convert, "annotations to streaming dialogues"),
    "generate": (generate_command, "timed steps to dialogues that a language model writes"),
    "refine": (refine_command, "narrations to sentences that a language model rewrites"),
    "durations": (durations, "seconds of recordings, which convert needs"),
    "features": (features_command, "encode recordings once"),
    "show": (show, "a dialogue over its frames, as a web page"),
    "check": (check, "what is odd about dialogues, before training on them"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m videollm_ros.data", description="Prepare training data.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (module, meaning) in _COMMANDS.items():
        module.add_arguments(commands.add_parser(name, help=meaning, description=module.__doc__))
    given = parser.parse_args(arguments)
    logging.basicConfig(format="%(message)s", level=logging.INFO, force=True)
    try:
        with logging_redirect_tqdm():
            return int(_COMMANDS[given.command][0].run(given))
    except (CheckpointError, DialogueError, RequestError, OSError) as error:
        print(f"videollm_ros.data: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("videollm_ros.data: stopped; nothing half-done was left behind.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
