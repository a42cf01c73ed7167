# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Say what is odd about dialogues before hours of training are spent on them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from videollm_ros.data.convert.request import RequestError
from videollm_ros.data.convert.store import Store
from videollm_ros.data.convert.tally import Tally
from videollm_ros.data.statistics import Statistics, readable_dialogues
from videollm_ros.data.tokens import TokenCounter

_SPARSE, _DENSE = 0.999, 0.5  # shares of silence beyond which a model hardly learns when to speak
_ONE_SENTENCE = 0.5  # share of one sentence among all replies that is worth a word
_SHOWN = 8  # names in one sentence


@dataclass
class _Lengths:
    """Tokens of the longest dialogue, and how many dialogues are longer than the context."""

    longest: int = 0
    too_long: int = 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("dialogues", type=Path, nargs="+", help="JSON-lines files; several are taken for splits")
    parser.add_argument("--fps", type=float, default=2.0, help="frames per second of the features (default 2)")
    parser.add_argument("--durations", type=Path, help="durations.json: names the recordings without a dialogue")
    parser.add_argument("--checkpoint", type=Path, help="folder of the model to train: counts tokens, looks at words")
    parser.add_argument("--llm", help="folder or hub id of its decoder, when not where the checkpoint says")
    parser.add_argument("--json", type=Path, help="file for the figures")


def run(given: argparse.Namespace) -> int:
    """Check the files; return 0, or 1 where they hold no dialogue.

    Raises:
        RequestError: a file is not there.
    """
    for path in given.dialogues:
        if not path.is_file():
            raise RequestError(f"{path} is no file of dialogues.")
    if not given.fps > 0:
        raise RequestError(f"--fps is a rate above 0 Hz, not {given.fps}.")
    tally = Tally()
    counter = TokenCounter.load(given.checkpoint, given.llm) if given.checkpoint else None
    files: dict[Path, Statistics] = {}
    lengths: dict[Path, _Lengths] = {}
    for path in given.dialogues:
        files[path], lengths[path] = _count(path, tally, counter)
    findings = list(_findings(files, lengths, counter, given.fps))
    if given.durations:
        findings += _without_dialogue(given.durations, files.values(), tally)
    if tally.counts:
        findings.append(f"Told above: {tally.summary()}.")
    _print(files, lengths, counter, given.fps, findings)
    if given.json:
        figures = {str(path): _figures(each, lengths[path], given.fps) for path, each in files.items()}
        given.json.write_text(json.dumps({"files": figures, "findings": findings}, indent=1), encoding="utf-8")
    return 0 if any(each.dialogues for each in files.values()) else 1


def _count(path: Path, tally: Tally, counter: TokenCounter | None) -> tuple[Statistics, _Lengths]:
    statistics, lengths = Statistics(), _Lengths()
    for dialogue in tqdm(readable_dialogues(path, tally), desc=path.name, unit=" dialogues", disable=None):
        statistics.add(dialogue)
        if counter:
            tokens = counter.count(dialogue.conversation)
            lengths.longest = max(lengths.longest, tokens)
            lengths.too_long += tokens > counter.context
    return statistics, lengths


def _figures(statistics: Statistics, lengths: _Lengths, fps: float) -> dict[str, Any]:
    return {
        "dialogues": statistics.dialogues,
        "recordings": len(statistics.recordings),
        "hours": statistics.frames / fps / 3600,
        "replies": statistics.num_replies,
        "distinct replies": len(statistics.replies),
        "queries": statistics.queries,
        "instructions": statistics.instructions,
        "replies per minute": statistics.replies_per_minute(fps),
        "silence among learned decisions": statistics.silent_share,
        "without a reply": statistics.without_reply,
        "frames of the longest": statistics.longest,
        "tokens of the longest": lengths.longest or None,
    }


def _print(
    files: dict[Path, Statistics],
    lengths: dict[Path, _Lengths],
    counter: TokenCounter | None,
    fps: float,
    findings: list[str],
) -> None:
    console = Console(highlight=False)
    table = Table()
    table.add_column("")
    rows = [_figures(statistics, lengths[path], fps) for path, statistics in files.items()]
    for path in files:
        table.add_column(path.name, justify="right")
    for name in rows[0]:
        values = [row[name] for row in rows]
        if any(value is not None for value in values):
            shown = (f"{value:,.3f}" if isinstance(value, float) else f"{value or 0:,}" for value in values)
            table.add_row(name, *shown)
    console.print(table)
    if counter:
        console.print(f"The context holds {counter.context:,} tokens.")
    for finding in findings:
        console.print(f"! {finding}", markup=False, soft_wrap=True)
    if not findings:
        console.print("Nothing is odd.")


def _findings(
    files: dict[Path, Statistics], lengths: dict[Path, _Lengths], counter: TokenCounter | None, fps: float
) -> Iterator[str]:
    for (one, first), (two, second) in combinations(files.items(), 2):
        if shared := sorted(first.recordings & second.recordings):
            yield f"{len(shared):,} recordings are both in {one.name} and in {two.name}: {_named(shared)}."
    for path, statistics in files.items():
        for finding in (*_odd(statistics), *_odd_tokens(statistics, lengths[path], counter)):
            yield f"{path.name}: {finding}"


def _odd(statistics: Statistics) -> Iterator[str]:
    if not statistics.dialogues:
        yield "it holds no dialogue."
        return
    if not statistics.speaking + statistics.silent:
        yield "no decision of a frame is learned: the stream turns need learn."
    elif not statistics.num_replies:
        yield "nothing is ever said."
    elif statistics.silent_share > _SPARSE:
        yield f"silence is {statistics.silent_share:.2%} of what is learned. A higher stream_loss_weight may help."
    elif statistics.silent_share < _DENSE:
        yield f"the model speaks on {1 - statistics.silent_share:.0%} of the learned frames."
    if statistics.repeated:
        yield f"{statistics.repeated:,} dialogues are there more than once."
    for text, number in statistics.replies.most_common(1):
        if len(statistics.replies) > 1 and number > _ONE_SENTENCE * statistics.num_replies:
            yield f"{number / statistics.num_replies:.0%} of the replies are {text[:60]!r}."


def _odd_tokens(statistics: Statistics, lengths: _Lengths, counter: TokenCounter | None) -> Iterator[str]:
    if counter is None:
        return
    if lengths.too_long:
        yield (
            f"{lengths.too_long:,} dialogues have more tokens than the context of {counter.context:,}; "
            f"the longest has about {lengths.longest:,}."
        )
    unknown, badly = counter.odd_words(statistics.words)
    if unknown:
        yield f"the tokenizer cannot write {len(unknown):,} words: {_named(unknown)}."
    if badly:
        yield f"the tokenizer splits {len(badly):,} words into letters: {_named(badly)}."


def _without_dialogue(path: Path, files: Iterable[Statistics], tally: Tally) -> Iterator[str]:
    store = Store()
    store.add_durations(path, tally)
    quiet = [each for each in store.recordings() if not any(each in file.recordings for file in files)]
    if quiet:
        yield f"{len(quiet):,} recordings of {path.name} have no dialogue: {_named(quiet)}."


def _named(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
