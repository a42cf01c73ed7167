# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`python -m videollm_ros.data convert ...`: annotations to dialogues."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from tqdm import tqdm

from videollm_ros.data.convert.clocks import CLOCKS
from videollm_ros.data.convert.request import Request, RequestError
from videollm_ros.data.convert.sources import dialogues, source_names
from videollm_ros.data.convert.writer import write_lines

_OPTIONS = ("clock", "rate", "offset", "starts", "map", "say_at", "negatives", "shares", "split_list")
_MORE_OPTIONS = ("waiting_frames", "filter", "seeds", "seconds")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_source_options(parser, f"{', '.join(source_names())}, or the YAML file of a field map")
    instruction = parser.add_mutually_exclusive_group()
    instruction.add_argument("--instruction", help="standing instruction of each dialogue; nlq fills in {query}")
    instruction.add_argument("--no-instruction", action="store_true", help="leave the source's instruction out")
    more = parser.add_argument_group("single sources")
    more.add_argument("--waiting-frames", type=int, default=0, help="livechat: at most so many frames before the user")
    more.add_argument("--filter", action="store_true", help="livechat: drop what quotes times or lasts too long")
    more.add_argument("--seeds", help="simulator: FIRST:STOP (default 0:10)")
    more.add_argument("--seconds", type=_rate, help="simulator: length of a stream (default 60)")


def add_source_options(parser: argparse.ArgumentParser, sources: str) -> None:
    """Declare the options that say what is read and where the result goes. `sources` describes the first one."""
    parser.add_argument("source", help=sources)
    parser.add_argument("--annotations", nargs="+", default=[], help="files, the folder that holds them, or BAG:/topic")
    parser.add_argument("--durations", type=Path, help="JSON object, video id to seconds (see `durations`)")
    parser.add_argument("--fps", type=_rate, default=2.0, help="frames per second of the features (default 2)")
    parser.add_argument("--split", default="", help="train, val or test")
    parser.add_argument("--output", type=Path, required=True, help="JSON-lines file to write")
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn: wordings, waiting frames, shares")
    _add_timed(parser.add_argument_group("timed sentences and field maps"))


def _add_timed(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--map", type=Path, help="YAML file that says where a file keeps its fields")
    group.add_argument("--clock", choices=CLOCKS, help="what the times count (default seconds from the first frame)")
    group.add_argument("--rate", type=_rate, help="units per second of --clock: 30 for frames at 30 Hz, 1e9 for ns")
    group.add_argument("--offset", type=float, help="seconds to add to every time")
    group.add_argument("--starts", type=Path, help="when recordings begin, for stamps and UTC (see `durations`)")
    group.add_argument("--say-at", choices=("start", "end"), help="which time a sentence follows (default start)")
    group.add_argument("--negatives", action="store_true", help="add recordings in which nothing is said")
    group.add_argument("--shares", type=float, nargs="+", metavar="SHARE", help="split by recording: 0.8 0.1 0.1")
    group.add_argument("--split-list", type=Path, help="file with the ids of the split's recordings, one a line")


def _rate(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"a number above 0 is expected, not {text}")
    return value


def run(given: argparse.Namespace) -> int:
    """Convert; return 0, or 1 where nothing was written.

    Raises:
        RequestError: the conversion cannot begin.
    """
    request = make_request(given)
    lines = tqdm(dialogues(request), desc=given.source, unit=" dialogues", disable=None)
    written = write_lines(lines, given.output, request.tally)
    left_out = request.tally.summary()
    print(
        f"{given.output}: {written.dialogues:,} dialogues, {written.frames:,} frames, {written.replies:,} replies, "
        f"{written.queries:,} queries and instructions."
        if written.dialogues
        else f"{given.output}: nothing was written, since there is no dialogue."
    )
    print(f"Told above: {left_out}." if left_out else "Nothing was left out.")
    return 0 if written.dialogues else 1


def make_request(given: argparse.Namespace) -> Request:
    """Return what the options ask for, with the durations read.

    Raises:
        RequestError: an option is of no use, or the durations are missing.
    """
    if given.output.is_dir():
        raise RequestError(f"--output {given.output} is a folder. The name of a file was expected.")
    if given.shares and (len(given.shares) > 3 or min(given.shares) < 0 or not sum(given.shares) > 0):
        raise RequestError("--shares are up to three numbers, of train, val and test, such as 0.8 0.1 0.1.")
    options = {name: getattr(given, name, None) for name in (*_OPTIONS, *_MORE_OPTIONS)}
    request = Request(
        given.source,
        given.annotations,
        given.fps,
        given.split,
        given.seed,
        getattr(given, "instruction", None),
        getattr(given, "no_instruction", False),
        options,
    )
    if given.source != "simulator":
        _read_durations(request, given.durations)
    return request


def _read_durations(request: Request, path: Path | None) -> None:
    if path is None:
        raise RequestError(f"{request.source} needs --durations: `durations` writes the file from the recordings.")
    if not path.is_file():
        raise RequestError(f"--durations {path} is no file.")
    request.store.add_durations(path, request.tally)
