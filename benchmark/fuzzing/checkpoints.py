# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoint folders that are damaged at random: each loads, or is refused with a CheckpointError.

A case is a few changes of one of two small checkpoints, an adapter with its base and a self-contained folder. Files
lose bytes or gain some, JSON values become others, files go missing. A case that takes more than `MOST_SECONDS` is a
crash.
"""

import atexit
import functools
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch
from geometries import ROOT
from hypothesis import strategies as st

from fuzzing import Refused
from videollm_ros.live import CheckpointError, LiveModel

MAY_WRITE_TO_STDERR = True  # transformers warns of what it finds
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
cases = st.builds(Case, st.sampled_from(sorted(FILES)), st.lists(_changes, min_size=1, max_size=3))


@functools.cache
def prepare() -> Path:
    """Write the undamaged checkpoints, one folder for each layout, and load both once."""
    torch.set_num_threads(1)
    folder = Path(tempfile.mkdtemp(prefix="checkpoints-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    shutil.copytree(GOLDENS, folder / "adapter", ignore=shutil.ignore_patterns("tensors*", "expected*"))
    _load("adapter", folder / "adapter", dtype="float16").save_pretrained(folder / "self-contained")
    _load("self-contained", folder / "self-contained")
    return folder


def run(case: Case) -> int:
    """Load a damaged checkpoint. Returns the bytes of its weights."""
    originals, began = prepare(), time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(shutil.copytree(originals / case.layout, Path(place) / "checkpoint"))
        for change in case.changes:
            files = FILES[case.layout]
            _apply(change, folder / files[change.file % len(files)])
        try:
            model = _load(case.layout, folder)
        except CheckpointError as error:
            raise Refused(" ".join(str(error).split())) from error
        finally:
            if time.perf_counter() - began > MOST_SECONDS:
                raise TimeoutError(f"it took {time.perf_counter() - began:.0f} s")
    return sum(each.nbytes for each in model.state_dict().values())


def _load(layout: str, folder: Path, dtype: str = "auto") -> LiveModel:
    if layout == "self-contained":
        return LiveModel.from_pretrained(folder, device="cpu", dtype=dtype)
    parts = {"llm": folder / "base", "vision": folder / "vision"}
    return LiveModel.from_pretrained(folder / "adapter", **parts, device="cpu", dtype=dtype)


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
