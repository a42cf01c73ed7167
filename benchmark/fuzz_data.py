# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Feed wrong dialogue files and annotation files to their readers: an error is a sentence, never a crash.

python benchmark/fuzz_data.py dialogues annotations --cases 10000 --json out.json

`TARGETS` holds, by name, what makes a case and what reads it.
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from videollm_ros.data.convert.request import Request, RequestError
from videollm_ros.data.convert.sources import dialogues, source_names
from videollm_ros.data.convert.writer import write_lines
from videollm_ros.data.dialogues import Dialogue, DialogueError, parse_dialogue

_NAMES = (
    "video frames conversation role num_frames learn content answer videos video_uid clips annotations query database "
    "start end time text segment segments label recording narrations events attributes clip_uid action_idx subset"
)
_scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
_values = st.recursive(
    _scalars | st.sampled_from(["stream", "user", "assistant", "a"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(_NAMES.split()) | st.text(max_size=4), inner, max_size=6)
    ),
    max_leaves=25,
)
_messages = st.fixed_dictionaries(
    {"role": st.sampled_from(["stream", "user", "assistant", "system"]) | _values},
    optional={
        "num_frames": st.integers(-2, 9) | _values,
        "learn": st.booleans() | st.integers(-2, 9) | _values,
        "content": st.text(max_size=12) | _values,
        "answer": st.booleans() | _values,
    },
)
_lines = st.fixed_dictionaries(
    {
        "video": st.sampled_from(["a", "../a", "/a", ""]) | _values,
        "frames": st.lists(st.integers(-2, 30), min_size=2, max_size=2) | _values,
        "conversation": st.lists(_messages, max_size=6) | _values,
    }
)
_TURNS = {
    "stream": lambda count: {"role": "stream", "num_frames": count, "learn": True},
    "assistant": lambda count: {"role": "assistant", "content": f"Sentence {count}.", "learn": True},
    "user": lambda count: {"role": "user", "content": f"Query {count}?"},
}


@st.composite
def _sound_lines(draw: st.DrawFn) -> dict[str, object]:
    """A dialogue without fault, which damage then makes nearly one."""
    roles = ["stream", *draw(st.lists(st.sampled_from(["stream", "user"]), max_size=3)), "assistant"]
    messages = [_TURNS[role](draw(st.integers(1, 9))) for role in roles]
    frames = sum(int(message.get("num_frames", 0)) for message in messages)
    return {"video": "a", "frames": [0, frames], "conversation": messages}


_notes = st.fixed_dictionaries(
    {"recording": st.just("a") | _values, "start": st.floats(0, 6) | _values, "text": st.text(max_size=9) | _values},
    optional={"end": st.floats(0, 6) | _values, "role": st.sampled_from(["user", "assistant"]) | _values},
)
_texts = (_sound_lines() | _lines | _notes | _values).map(json.dumps) | st.text(max_size=200)


@st.composite
def _damaged(draw: st.DrawFn) -> bytes:
    """Bytes of a text, of which some may be missing, doubled or changed."""
    data = draw(_texts).encode(errors="surrogatepass")
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(data)))
        data = data[:at] + draw(st.binary(max_size=3)) + data[at + draw(st.integers(0, 3)) :]
    return data


def read_dialogue(data: bytes) -> bool:
    """Read a line of a dialogue file; return whether it was one.

    Raises:
        TypeError: the reader gave something else than a dialogue or a sentence.
    """
    try:
        dialogue = parse_dialogue(data.decode(errors="replace"), "file:1")
    except DialogueError as error:
        if not str(error).startswith("file:1: "):
            raise TypeError(f"the error does not say where it is: {error}") from error
        return False
    if not isinstance(dialogue, Dialogue):
        raise TypeError(f"no dialogue was read: {dialogue!r}")
    return True


def convert_annotations(case: tuple[str, bytes]) -> bool:
    """Convert a file with a source; return whether a dialogue came of it."""
    source, data = case
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "durations.json").write_text('{"a": 5.0}')
        (folder / "fho_lta_taxonomy.json").write_text('{"verbs": ["take"], "nouns": ["cup"]}')
        (folder / "narration_stream_video_uids_train.json").write_text('["a"]')
        for file in ("all_narrations_redacted.json", "fho_lta_train.json", "n.json", "n.jsonl", "n.vtt", "n.csv"):
            (folder / file).write_bytes(data)
        several = source in ("ego4d-narration", "ego4d-lta", "timed")
        request = Request(source, [str(folder if several else folder / "n.json")], split="train")
        request.store.add_durations(folder / "durations.json", request.tally)
        try:
            return bool(write_lines(dialogues(request), folder / "out", request.tally).dialogues)
        except RequestError:  # a sentence: a file that this source needs is not there
            return False


TARGETS: dict[str, tuple[st.SearchStrategy[Any], Callable[[Any], bool]]] = {
    "dialogues": (_damaged(), read_dialogue),
    "annotations": (st.tuples(st.sampled_from(["timed", *source_names()]), _damaged()), convert_annotations),
}


def run(target: str, cases: int) -> dict[str, object]:
    """Try so many cases of a target and return how many of them were readable; the first failure is raised."""
    strategy, read = TARGETS[target]
    readable = tried = 0

    @given(strategy)
    @settings(max_examples=cases, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    def attempt(case: Any) -> None:
        nonlocal readable, tried
        tried += 1
        readable += read(case)

    began = time.perf_counter()
    attempt()
    return {"target": target, "cases": tried, "readable": readable, "seconds": time.perf_counter() - began}


def main() -> None:
    """Run the targets and print their counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", default=list(TARGETS), help=f"of {', '.join(TARGETS)}")
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    logging.disable()  # the sentences that are asked for
    rows = [run(target, arguments.cases) for target in arguments.targets]
    for row in rows:
        print(f"{row['target']}: {row['cases']} cases, {row['readable']} readable, {row['seconds']:.0f} s, no crash")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
