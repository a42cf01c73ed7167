# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Let a language model write streaming dialogues from timed steps (paper, section 3.2). A killed run goes on."""

from __future__ import annotations

import argparse

from videollm_ros.data.convert.command import add_source_options
from videollm_ros.data.generation.options import add_model_options, optional_libraries
from videollm_ros.data.generation.skeleton import USERS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_source_options(parser, "timed, or a field map by its name or YAML file (see `convert`)")
    drawn = parser.add_argument_group("dialogues")
    drawn.add_argument("--dialogues", type=int, default=1, help="dialogues of each recording (default 1)")
    drawn.add_argument("--queries", type=int, default=3, help="queries of a user who asks many, at most (default 3)")
    drawn.add_argument("--users", nargs="+", choices=USERS, default=list(USERS), help="types of users (default all)")
    drawn.add_argument("--shortest", type=float, default=60.0, help="seconds of a dialogue, at least (default 60)")
    drawn.add_argument("--longest", type=float, default=3600.0, help="seconds of a dialogue, at most (default 3600)")
    drawn.add_argument("--judge", metavar="MODEL", help="model on the server that grades each dialogue from 1 to 10")
    drawn.add_argument("--least-score", type=int, default=7, help="put aside what the judge grades lower (default 7)")
    add_model_options(parser)


def run(given: argparse.Namespace) -> int:
    """Do it; return 0, or 1 where something is left for another run.

    Raises:
        RequestError: the optional libraries are not installed, a setting is of no use, or the model cannot be asked.
    """
    with optional_libraries("generate"):
        from videollm_ros.data.generation.generate import generate
    return generate(given)
