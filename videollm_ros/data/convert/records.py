# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Entries of annotation files: CSV, TSV, JSONL, JSON, WebVTT, SRT, and std_msgs/String topics of bags."""

from __future__ import annotations

import csv
import html
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

import webvtt

from videollm_ros.data.convert.bag_notes import read_notes
from videollm_ros.data.convert.fields import Chain, FieldMap, walk
from videollm_ros.data.convert.json_stream import elements, members
from videollm_ros.data.convert.request import Request
from videollm_ros.data.convert.tally import Tally

Entry = tuple[Chain, str]
"""An entry with all that it stands in, and its place in words."""


def read_entries(request: Request, source: str, fields: FieldMap) -> Iterator[Entry]:
    """Yield the entries of a file, or of a topic of a bag given as `run.mcap:/notes`."""
    if ":/" in source and not Path(source).exists():
        yield from read_notes(source, request.tally)
        return
    path = Path(source)
    read = _READERS.get(path.suffix.lower())
    if read is None:
        request.tally.tell("files of another kind", f"{path}: expected one of {', '.join(READABLE)}. It is left out.")
        return
    names = {"path": source, "name": path.name, "stem": path.stem, "parent": path.parent.name}
    names["grandparent"] = path.parent.parent.name
    number = 0
    try:
        for entry, where in read(path, fields, request.tally):
            number += 1
            yield ({"file": names}, *entry), where
    except OSError as error:
        request.tally.tell("files that cannot be read", f"{path}: it cannot be read: {error.strerror}.")
    if not number:
        request.tally.tell("files without annotations", f"{path}: it holds no annotation.")


def _text(path: Path) -> TextIO:
    """Open a text; what is no UTF-8 becomes U+FFFD, which `checks.decoded` finds."""
    return path.open(encoding="utf-8-sig", errors="replace", newline="")


def _table(path: Path, fields: FieldMap, tally: Tally) -> Iterator[Entry]:
    delimiter = fields.delimiter or ("," if path.suffix.lower() == ".csv" else "\t")
    with _text(path) as file:
        rows = csv.DictReader(file, fieldnames=fields.header or None, delimiter=delimiter, skipinitialspace=True)
        while True:
            try:
                row = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                tally.tell("lines that are not valid", f"{path}:{rows.line_num}: {error}. The line is left out.")
            else:
                yield ({name: value for name, value in row.items() if name and value},), f"{path}:{rows.line_num}"


def _json_lines(path: Path, fields: FieldMap, tally: Tally) -> Iterator[Entry]:
    parts = _parts(fields)[1:]
    with _text(path) as file:
        for number, line in enumerate(file, start=1):
            where = f"{path}:{number}"
            if not line.strip():
                continue
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as error:
                tally.tell("lines that are not valid", f"{where}: it is no JSON ({error}). The line is left out.")
                continue
            yield from ((chain, where) for chain in walk(value, parts, ()))


def _json(path: Path, fields: FieldMap, tally: Tally) -> Iterator[Entry]:
    """Yield what the map's `each` leads to; only what stands below its first `*` or `$name` is held in memory."""
    parts = _parts(fields)
    depth = next((index for index, part in enumerate(parts) if part == "*" or part.startswith("$")), len(parts))
    prefix, each = ".".join(parts[:depth]), parts[depth] if depth < len(parts) else "*"
    if each == "*":
        pairs: Iterator[tuple[object, object]] = enumerate(elements(path, prefix, tally))
    else:
        pairs = iter(members(path, prefix, tally))
    for name, value in pairs:
        captured = ({each[1:]: name},) if each != "*" else ()
        where = f"{path}: {name!r:.80}" if captured else f"{path}: entry {name}"
        yield from ((chain, where) for chain in walk(value, parts[depth + 1 :], captured))


def _subtitles(path: Path, fields: FieldMap, tally: Tally) -> Iterator[Entry]:
    """Yield the cues; a voice that is a role (<v User>) is taken for one."""
    with _text(path) as file:
        text = file.read()
    try:
        cues: Any = webvtt.from_buffer(io.StringIO(text), format=path.suffix[1:].lower())
    except (webvtt.errors.MalformedFileError, webvtt.errors.MalformedCaptionError) as error:
        tally.tell("files that end early or are not valid", f"{path}: it is no {path.suffix} file: {error}.")
        return
    for number, cue in enumerate(cues, start=1):
        entry = {"start": cue.start, "end": cue.end, "text": html.unescape(cue.text)}
        if (cue.voice or "").lower() in fields.roles:
            entry["role"] = cue.voice
        yield (entry,), f"{path}: cue {number}"


def _parts(fields: FieldMap) -> list[str]:
    return fields.each.split("/")


_READERS: dict[str, Callable[[Path, FieldMap, Tally], Iterator[Entry]]] = {
    ".csv": _table,
    ".tsv": _table,
    ".txt": _table,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json,
    ".vtt": _subtitles,
    ".srt": _subtitles,
}
READABLE = tuple(_READERS)
