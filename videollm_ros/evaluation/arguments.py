# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Declare the command line of `bag`, `video`, `compare` and `sweep`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import get_args

from videollm_ros.assistant import AssistantSettings, ContextSettings, SpeechSettings, StreamSettings
from videollm_ros.evaluation.option_ranges import check_numbers
from videollm_ros.evaluation.scores.judged import ScoreSettings
from videollm_ros.evaluation.scores.words import ExactMatcher, Matcher, SimulatorMatcher
from videollm_ros.live import DEFAULT_THRESHOLD
from videollm_ros.live.speak_rule import Form

MATCHERS = ("exact", "simulator", "similarity", "judge")


def add_recording_commands(commands: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    """Add the commands that take recordings."""
    bag = commands.add_parser("bag", help="on rosbag2 recordings: transcript, scores and a report")
    bag.add_argument("recordings", type=Path, nargs="+", metavar="BAG", help="folder or file of a rosbag2 recording")
    video = commands.add_parser("video", help="on a video file, a folder of videos or a folder of images")
    video.add_argument("recordings", type=Path, nargs="+", metavar="VIDEO", help="video file, or folder")
    sweep = commands.add_parser("sweep", help="over theta: which threshold to choose")
    sweep.add_argument("recordings", type=Path, nargs="+", metavar="RECORDING", help="bag, video file, or folder")
    sweep.add_argument("--thresholds", type=float, nargs="+", metavar="THETA", help="values of theta to try")
    sweep.add_argument(
        "--false-alarms", type=float, default=0.5, help="false utterances per quiet minute that you put up with"
    )
    for parser in (bag, sweep):
        _add_bag(parser)
    for parser in (video, sweep):
        parser.add_argument(
            "--rate", type=float, default=0.0, help="Hz of the pictures; 0: the media's own, 30 of a folder"
        )
    for parser in (bag, video, sweep):
        add_watching(parser)
        _add_annotations(parser, needed=parser is sweep)
        add_scoring(parser)
        parser.add_argument("--output", type=Path, required=True, help="folder for the results; it need not exist")
    for parser in (bag, video):
        add_window(parser)
        parser.add_argument(
            "--real-time",
            action="store_true",
            help="replay against the clock through the node's runtime, with its drops",
        )
    _add_compare(commands)


def _add_compare(commands: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    compare = commands.add_parser("compare", help="two results of bag or video, paired by recording")
    compare.add_argument("first", type=Path, metavar="A", help="folder of results")
    compare.add_argument("second", type=Path, metavar="B", help="folder of results of the same recordings")
    compare.add_argument("--output", type=Path, help="folder for the comparison; without it, only a table is printed")


def _add_annotations(parser: argparse.ArgumentParser, needed: bool) -> None:
    parser.add_argument(
        "--queries",
        type=Path,
        help='what is asked: JSON lines {"time": seconds, "text": "..."}; of every recording, '
        "or a folder with NAME.jsonl for each",
    )
    parser.add_argument(
        "--annotations",
        type=Path,
        required=needed,
        help='what happened: JSON lines {"time": seconds since the first image, "text": "..."}; '
        "for several recordings a folder with NAME.jsonl for each",
    )


def add_window(parser: argparse.ArgumentParser) -> None:
    """Add the baseline that sees the last frames alone."""
    parser.add_argument(
        "--window",
        type=int,
        default=0,
        metavar="N",
        help="a baseline: the same model with the last N frames alone in its context, for example 4",
    )


def _add_bag(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--topic", default="", help="image topic; not needed when there is only one")
    parser.add_argument("--query-topic", nargs="?", const="", help="std_msgs/String topic with queries")
    parser.add_argument(
        "--stamps", choices=("header", "recorded"), default="header", help="whose time counts (default: the header's)"
    )


def add_watching(parser: argparse.ArgumentParser) -> None:
    """Add what says how the model watches."""
    parser.add_argument("--checkpoint", help="folder or hub id; without it, the demo checkpoint")
    parser.add_argument("--instruction", default="", help="standing instruction, read but not answered")
    parser.add_argument("--threshold", type=float, default=DEFAULT_THRESHOLD, help="theta")
    parser.add_argument("--rule", choices=get_args(Form), default="paper", help="form of the rule that decides")
    parser.add_argument(
        "--fps", type=float, default=0.0, help="frames per second; 0: the rate the model was trained at"
    )
    parser.add_argument("--max-gap", type=float, default=10.0, help="seconds without images that begin a new stream")
    parser.add_argument("--max-new-tokens", type=int, default=100, help="tokens after which a reply is cut off")
    parser.add_argument("--context-tokens", type=int, default=0, help="size of the context; 0: as trained")
    parser.add_argument(
        "--repeat-window",
        type=float,
        default=SpeechSettings().repeat_window,
        help="seconds in which the node holds a stutter back; 0: everything that the model says is said",
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")


def add_scoring(parser: argparse.ArgumentParser) -> None:
    """Add what says how transcripts are judged."""
    defaults = ScoreSettings()
    parser.add_argument("--match", choices=MATCHERS, default="exact", help="how texts are compared")
    parser.add_argument("--similarity-model", default="sentence-transformers/all-mpnet-base-v2")
    parser.add_argument("--judge-model", help="model of an OpenAI-compatible server")
    parser.add_argument("--judge-url", help="base URL of the server; default: OPENAI_BASE_URL")
    parser.add_argument("--tolerance", type=float, default=defaults.tolerance, help="seconds around an event")
    parser.add_argument("--reply-seconds", type=float, default=defaults.reply_seconds, help="reply span for PAUC")
    parser.add_argument("--repeat-seconds", type=float, default=defaults.repeat_seconds)
    parser.add_argument("--late-seconds", type=float, default=defaults.late_seconds)
    parser.add_argument("--every-seconds", type=float, default=defaults.every_seconds, help="period of a baseline")


def watch_settings(given: argparse.Namespace) -> AssistantSettings:
    """Return how the model watches.

    Raises:
        ValueError: a number among the options is of no use.
    """
    check_numbers(given)
    return AssistantSettings(
        stream=StreamSettings(
            fps=given.fps,
            max_gap=given.max_gap,
            threshold=given.threshold,
            rule=given.rule,
            max_new_tokens=given.max_new_tokens,
            instruction=given.instruction,
        ),
        context=ContextSettings(max_tokens=given.context_tokens),
        speech=SpeechSettings(repeat_window=given.repeat_window),
    )


def score_settings(given: argparse.Namespace) -> ScoreSettings:
    """Return how transcripts are judged.

    Raises:
        ValueError: a value is out of its range, or what a matcher needs is missing.
    """
    return ScoreSettings(
        tolerance=given.tolerance,
        reply_seconds=given.reply_seconds,
        repeat_seconds=given.repeat_seconds,
        late_seconds=given.late_seconds,
        every_seconds=given.every_seconds,
        matcher=_matcher(given),
    )


def check_options(given: argparse.Namespace) -> None:
    """Check the options of a benchmark without loading anything.

    Raises:
        ValueError: a value is out of its range, an option is missing, or a task is named twice.
    """
    check_numbers(given)
    if hasattr(given, "tolerance"):
        _check_judge(given)
    tasks = getattr(given, "tasks", [])
    if len(set(tasks)) < len(tasks):
        raise ValueError(f"--tasks {' '.join(tasks)}: name each task once.")


def _check_judge(given: argparse.Namespace) -> None:
    if given.match == "judge" and not given.judge_model:
        raise ValueError("--match judge needs --judge-model, and --judge-url or OPENAI_BASE_URL.")


def _matcher(given: argparse.Namespace) -> Matcher:
    if given.match == "simulator":
        return SimulatorMatcher()
    if given.match == "similarity":
        from videollm_ros.evaluation.scores.similarity import SimilarityMatcher

        return SimilarityMatcher.load(given.similarity_model)
    if given.match == "judge":
        from videollm_ros.evaluation.scores.language_judge import JudgeMatcher

        _check_judge(given)
        return JudgeMatcher(given.judge_model, given.judge_url)
    return ExactMatcher()
