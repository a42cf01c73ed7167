# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Damage checkpoint folders at random and load them: each loads, or is refused with a CheckpointError.

    python benchmark/fuzz_checkpoints.py --cases 10000 --json out.json

A case is a few changes of one of two small checkpoints, an adapter with its base and a self-contained folder. Files
lose bytes or gain some, JSON values become others, files go missing. Any other error, more than `MOST_SECONDS` or more
than `MOST_MEMORY` is a failure.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import torch
from geometries import ROOT
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from machine import describe_machine

from videollm_ros.live import CheckpointError, LiveModel

GOLDENS = ROOT / "test" / "goldens" / "live1plus"
FILES = {
    "adapter": [
        "adapter/adapter_config.json",
        "adapter/adapter_model.safetensors",
        "base/config.json",
        "base/tokenizer_config.json",
        "vision/config.json",
    ],
    "self-contained": [
        "live_config.json",
        "connector.safetensors",
        "llm/config.json",
        "llm/generation_config.json",
        "llm/model.safetensors",
        "llm/tokenizer.json",
        "llm/tokenizer_config.json",
        "vision/config.json",
        "vision/model.safetensors",
    ],
}
MOST_SECONDS = 20.0
MOST_MEMORY = 2**29

_VALUES: list[Any] = [
    None,
    True,
    False,
    -1,
    0,
    1,
    2,
    7,
    255,
    10**6,
    10**9,
    2**63,
    -(2**40),
    0.5,
    1e308,
    "",
    "x",
    "llama",
]
_VALUES += [float("nan"), float("inf"), "../..", "/etc", "((a+)+)+$", "<v>", "\ud800", "evil.Evil", "a" * 9999]
_VALUES += [[], {}, [[]], [1, "x"], {"a": 1}, [0] * 999, {"type": "BPE"}]


class Change(NamedTuple):
    """One change of one file."""

    file: int
    """Index into the files of the layout, modulo their number."""
    kind: str
    """What happens: a JSON value is replaced or deleted, bytes are cut, replaced or inserted, the file is removed."""
    place: int
    """Where: an index modulo the number of JSON values, or of bytes."""
    value: Any


class Case(NamedTuple):
    """A damaged checkpoint."""

    layout: str
    changes: list[Change]


_KINDS = ["value"] * 6 + ["delete", "cut", "flip", "insert", "nest", "remove"]
_changes = st.builds(
    Change,
    file=st.integers(0, 20),
    kind=st.sampled_from(_KINDS),
    place=st.integers(0, 2**20),
    value=st.one_of(st.sampled_from(_VALUES), st.integers(), st.text(max_size=20), st.binary(max_size=8)),
)
CASES = st.builds(Case, st.sampled_from(sorted(FILES)), st.lists(_changes, min_size=1, max_size=3))
"""What a test or another fuzzer draws from."""


def make_originals(folder: Path) -> Path:
    """Write the undamaged checkpoints, one folder for each layout."""
    adapter = shutil.copytree(GOLDENS, folder / "adapter", ignore=shutil.ignore_patterns("tensors*", "expected*"))
    model = LiveModel.from_pretrained(
        adapter / "adapter", llm=adapter / "base", vision=adapter / "vision", device="cpu", dtype="float16"
    )
    model.save_pretrained(folder / "self-contained")
    return folder


def run_case(case: Case, originals: Path) -> str:
    """Load a damaged checkpoint.

    Returns:
        "loaded" or "refused".

    Raises:
        Exception: any but a CheckpointError, which is a defect.
        TimeoutError: it took longer than `MOST_SECONDS`.
        MemoryError: the process grew by more than `MOST_MEMORY`.
    """
    before, began = _peak_memory(), time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(shutil.copytree(originals / case.layout, Path(place) / "checkpoint"))
        for change in case.changes:
            files = FILES[case.layout]
            _apply(change, folder / files[change.file % len(files)])
        try:
            _load(case.layout, folder)
            outcome = "loaded"
        except CheckpointError as error:
            if not str(error):
                raise AssertionError("the error says nothing") from error
            outcome = "refused"
    if time.perf_counter() - began > MOST_SECONDS:
        raise TimeoutError(f"{case} took {time.perf_counter() - began:.0f} s")
    if _peak_memory() - before > MOST_MEMORY:
        raise MemoryError(f"{case} took {(_peak_memory() - before) / 2**20:.0f} MiB")
    return outcome


def _load(layout: str, folder: Path) -> LiveModel:
    if layout == "self-contained":
        return LiveModel.from_pretrained(folder, device="cpu")
    return LiveModel.from_pretrained(folder / "adapter", llm=folder / "base", vision=folder / "vision", device="cpu")


def _apply(change: Change, path: Path) -> None:
    if not path.exists():
        return
    content = path.read_bytes()
    place = change.place % (len(content) + 1)
    if path.suffix == ".safetensors":
        place %= 4096  # the header, where there is something to understand
    filler = change.value if isinstance(change.value, bytes) else repr(change.value).encode("utf-8", "surrogatepass")
    if change.kind == "remove":
        path.unlink()
    elif change.kind == "cut":
        path.write_bytes(content[:place])
    elif change.kind == "flip":
        path.write_bytes(content[:place] + filler[:8] + content[place + len(filler[:8]) :])
    elif change.kind == "insert" or path.suffix == ".safetensors":
        path.write_bytes(content[:place] + filler + content[place:])
    elif change.kind == "nest":
        path.write_bytes(b'{"a":' * 5000 + content + b"}" * 5000)
    else:
        _edit_json(path, change)


def _edit_json(path: Path, change: Change) -> None:
    try:
        root = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return  # an earlier change has damaged it
    places = list(_walk(root))
    if not places:
        return
    container, key = places[change.place % len(places)]
    if change.kind == "delete":
        del container[key]
    else:
        container[key] = change.value.decode("latin-1") if isinstance(change.value, bytes) else change.value
    path.write_text(json.dumps(root), encoding="utf-8")


def _walk(value: Any) -> list[tuple[Any, Any]]:
    """List every place of nested JSON as its container and key."""
    places: list[tuple[Any, Any]] = []
    for key in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        places += [(value, key), *_walk(value[key])]
    return places


def _peak_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Run as many cases as asked for, and stop at the first failure with its smallest example."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    outcomes, slowest, began = Counter[str](), 0.0, time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        originals = make_originals(Path(folder))

        @seed(arguments.seed)
        @settings(
            max_examples=arguments.cases,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )
        @given(CASES)
        def fuzz(case: Case) -> None:
            nonlocal slowest
            started = time.perf_counter()
            outcomes[run_case(case, originals)] += 1
            slowest = max(slowest, time.perf_counter() - started)

        fuzz()
    figures = {
        "cases": sum(outcomes.values()),
        **outcomes,
        "failures": 0,
        "slowest_seconds": slowest,
        "minutes": (time.perf_counter() - began) / 60,
        "peak_memory_mib": _peak_memory() / 2**20,
        "machine": describe_machine(torch.device("cpu")),
    }
    print(json.dumps(figures, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
