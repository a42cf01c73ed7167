# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Field maps: where an annotation file keeps the recording, the times and the words. A new set is a YAML file."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from videollm_ros.data.convert.request import RequestError

MAPS = Path(__file__).parents[1] / "maps"
Chain = tuple[Any, ...]
"""An entry of a file after all that it stands in: fields are looked up from the innermost outward."""


@dataclass(frozen=True)
class Sentence:
    """One kind of sentence. `where`: field -> pattern; `text`: a field; `sentence`: words with {fields} in them."""

    where: dict[str, str | list[str]] = field(default_factory=dict)
    text: str | list[str] = "text"
    sentence: str = ""
    role: str = ""


@dataclass(frozen=True)
class FieldMap:
    """Where things are in the files of one set; docs/data.md has a table. A field may be a list: the first there is."""

    about: str = ""
    files: str | list[str] = ""
    each: str = "*"
    header: list[str] = field(default_factory=list)
    delimiter: str = ""
    recording: str | list[str] = field(default_factory=lambda: ["recording", "video", "file.stem"])
    recording_pattern: str = ""
    start: str | list[str] = field(default_factory=lambda: ["start", "time"])
    end: str | list[str] = "end"
    annotator: str | list[str] = "annotator"
    role: str | list[str] = "role"
    roles: dict[str, str] = field(default_factory=lambda: {"assistant": "assistant", "user": "user"})
    sentences: list[dict[str, Any]] = field(default_factory=lambda: [{}])
    split: str = "split"
    split_names: dict[str, str] = field(default_factory=dict)
    split_list: str = ""
    clock: str = "seconds"
    rate: float = 1.0
    origin: str = ""
    say_at: str = "start"
    tidy: bool = False
    instruction: str = ""

    def kinds(self) -> list[Sentence]:
        """Return the kinds of sentences."""
        return [_checked(Sentence, each, "sentences") for each in self.sentences]


def map_names() -> list[str]:
    """Return the names of the maps that come with the package."""
    return sorted(path.stem for path in MAPS.glob("*.yaml"))


def load_map(source: str | Path) -> FieldMap:
    """Read a map by its name or its path.

    Raises:
        RequestError: it is not there, is not YAML, or has a key that is not known.
    """
    path = MAPS / f"{source}.yaml" if str(source) in map_names() else Path(source)
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise RequestError(f"The field map {path} cannot be read: {error}.") from error
    loaded: FieldMap = _checked(FieldMap, values or {}, str(path))
    loaded.kinds()
    return loaded


def _checked(kind: Any, values: Any, where: str) -> Any:
    known = {each.name for each in dataclasses.fields(kind)}
    if not isinstance(values, dict):
        raise RequestError(f"{where} must hold keys and values, such as recording: video_id, and holds {values!r:.80}.")
    for name in values:
        if name not in known:
            nearest = difflib.get_close_matches(str(name), known, n=1)
            hint = f" Did you mean {nearest[0]}?" if nearest else f" It may have {', '.join(sorted(known))}."
            raise RequestError(f"{where} has the unknown key {name!r}.{hint}")
    return kind(**values)


def lookup(fields: str | Sequence[str], chain: Chain) -> Any:
    """Return the first of the fields that is there: "a.b.0" goes down, "sentences.$n" takes the captured n. Or None."""
    for name in (fields,) if isinstance(fields, str) else fields:
        parts = _parts(name)
        if "$" in name:
            parts = tuple(str(lookup(part[1:], chain)) if part.startswith("$") else part for part in parts)
        for scope in reversed(chain):
            value = _descend(scope, parts)
            if value is not None:
                return value
    return None


@cache
def _parts(name: str) -> tuple[str, ...]:
    return tuple(name.split("."))


def _descend(value: Any, parts: Sequence[str]) -> Any:
    for part in parts:
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def walk(value: Any, parts: Sequence[str], chain: Chain) -> Iterator[Chain]:
    """Yield what stands below `value`: "name" goes down, "*" takes all elements, "$n" too and keeps their name as n."""
    if not parts:
        yield (*chain, value)
        return
    part, rest = parts[0], parts[1:]
    if part == "*" or part.startswith("$"):
        pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for name, each in pairs:
            captured = ({part[1:]: name},) if part != "*" else ()
            yield from walk(each, rest, (*chain, value, *captured))
    else:
        yield from walk(_descend(value, [part]), rest, (*chain, value))


def matches(where: dict[str, str | list[str]], chain: Chain) -> bool:
    """Return whether every field fits its pattern, or one of its patterns; letter case does not count."""
    return all(
        any(
            fnmatchcase(str(lookup(name, chain)).lower(), pattern.lower())
            for pattern in ([patterns] if isinstance(patterns, str) else patterns)
        )
        for name, patterns in where.items()
    )
