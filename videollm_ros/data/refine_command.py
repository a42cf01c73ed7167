# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Let a language model rewrite narrations as sentences to the wearer. Each distinct sentence is asked for once."""

from __future__ import annotations

import argparse

from videollm_ros.data.convert.command import add_source_options
from videollm_ros.data.generation.options import add_model_options, optional_libraries


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_source_options(parser, "timed, or a field map by its name or YAML file (see `convert`)")
    parser.add_argument("--sentences", type=int, default=20, help="sentences of one request (default 20)")
    add_model_options(parser)


def run(given: argparse.Namespace) -> int:
    """Do it; return 0, or 1 where something is left for another run.

    Raises:
        RequestError: the optional libraries are not installed, a setting is of no use, or the model cannot be asked.
    """
    with optional_libraries("refine"):
        from videollm_ros.data.generation.refine import refine
    return refine(given)
