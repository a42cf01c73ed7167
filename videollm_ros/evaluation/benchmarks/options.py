# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Declare the command line of the benchmarks."""

from __future__ import annotations

import argparse
from pathlib import Path

from videollm_ros.evaluation.arguments import add_scoring, add_watching, add_window

COIN_TASKS = ("step", "next", "task", "procedure", "task-procedure")

_ANNOTATIONS = {
    "stream": ("the paper's four metrics on dialogues, teacher-forced", "DIALOGUES", "JSON-lines file of dialogues"),
    "dialogues": ("dialogues live, on the model's own words", "DIALOGUES", "JSON-lines file of dialogues"),
    "coin": ("COIN: step, next step, task, procedure", "COIN.json", "the public annotations"),
    "lta": ("Ego4D: the twenty actions to come, with a file for its server", "DIR", "folder of fho_lta_*.json"),
    "proactivevideoqa": ("ProactiveVideoQA: replies when something is shown", "ANNO.json", "anno.json of a subset"),
    "streamingbench-proactive": ("StreamingBench: proactive output", "QUESTIONS.json", "questions_proactive.json"),
    "ovo-bench": ("OVO-Bench: backward, real-time and forward questions", "OVO.json", "ovo_bench_new.json"),
}
"""Command -> what it measures, and what its annotations are called and are."""

COMMANDS = tuple(_ANNOTATIONS)
_ON_DIALOGUES = ("stream", "dialogues", "coin", "lta")
_WATCHING = ("dialogues", "proactivevideoqa", "streamingbench-proactive", "ovo-bench")
_SCORED_AS_RECORDINGS = ("dialogues", "proactivevideoqa")


def add_benchmark_commands(commands: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    """Add a command for each benchmark."""
    for name, (what, metavar, described) in _ANNOTATIONS.items():
        parser = commands.add_parser(name, help=what)
        parser.add_argument("annotations", type=Path, metavar=metavar, help=described)
        if name in _ON_DIALOGUES:
            _add_footage(parser)
        else:
            parser.add_argument("--videos", type=Path, metavar="DIR", required=True, help="folder of the videos")
        if name == "stream":
            parser.add_argument("--threshold", type=float, default=0.0, help="theta (default 0, as the paper measures)")
        else:
            add_window(parser)
        if name == "coin":
            parser.add_argument("--tasks", nargs="+", choices=COIN_TASKS, default=list(COIN_TASKS), help="which tasks")
        if name == "streamingbench-proactive":
            parser.add_argument(
                "--seconds-before", type=float, default=0.0, help="seconds watched before a question (default 0)"
            )
        if name == "lta":
            parser.add_argument("--split", choices=("val", "test"), default="val", help="test has no answers")
        _add_model(parser, name)
        if name in _SCORED_AS_RECORDINGS:
            add_scoring(parser)
        parser.add_argument("--limit", type=int, help="run the first items only")
        parser.add_argument(
            "--output", type=Path, required=True, help="folder for the results; a run that was killed goes on there"
        )


def _add_model(parser: argparse.ArgumentParser, name: str) -> None:
    if name in _WATCHING:
        add_watching(parser)
    else:
        parser.add_argument("--checkpoint", help="folder or hub id; without it, the demo checkpoint")
        parser.add_argument("--device", default="auto")
        parser.add_argument("--dtype", default="auto")
    parser.add_argument("--llm", help="the decoder, when it is not where the checkpoint says")
    parser.add_argument("--vision", help="the vision tower, when it is not where the checkpoint says")


def _add_footage(parser: argparse.ArgumentParser) -> None:
    footage = parser.add_mutually_exclusive_group(required=True)
    footage.add_argument("--features", type=Path, metavar="DIR", help="features that videollm-data features stored")
    footage.add_argument("--videos", type=Path, metavar="DIR", help="folder of the videos")
