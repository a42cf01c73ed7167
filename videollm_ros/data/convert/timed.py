# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Timed sentences, a team's own or a public set's, as dialogues over whole recordings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from videollm_ros.data.convert.checks import decoded, one_line, recording_id, seconds, span
from videollm_ros.data.convert.clocks import CLOCKS, Clock, read_starts
from videollm_ros.data.convert.conversation import Conversation
from videollm_ros.data.convert.fields import Chain, FieldMap, Sentence, load_map, lookup, matches
from videollm_ros.data.convert.grid import FrameGrid
from videollm_ros.data.convert.records import READABLE, read_entries
from videollm_ros.data.convert.request import Request, RequestError
from videollm_ros.data.convert.store import Step
from videollm_ros.data.convert.tally import AnnotationError

_SHARES = ("train", "val", "test")


def timed(request: Request, fields: FieldMap | None = None) -> Iterator[dict[str, Any]]:
    """Yield one dialogue per recording and annotator: every sentence follows the first frame at or after its time."""
    reader = _read(request, fields)
    instruction = "" if request.no_instruction else request.instruction or reader.fields.instruction
    for recording, steps in request.store.by_annotator():
        if reader.in_split(recording) and (grid := request.grid(recording)):
            conversation = _converse(request, grid, steps, instruction)
            yield conversation.line(recording, **({"annotator": steps[0].annotator} if steps[0].annotator else {}))
    for recording in request.store.recordings_without_steps() if request.options.get("negatives") else ():
        if reader.in_split(recording) and (grid := request.grid(recording)):
            yield _converse(request, grid, [], instruction).line(recording)


def read_steps(request: Request, fields: FieldMap | None = None) -> Iterator[tuple[str, list[Step]]]:
    """Yield the steps of each recording and annotator of the split, by time.

    Raises:
        RequestError: the source is no field map, or an annotation file is not there.
    """
    if fields is None and request.source != "timed":
        fields = load_map(request.source)
    reader = _read(request, fields)
    for recording, steps in request.store.by_annotator():
        if reader.in_split(recording):
            yield recording, steps


def _read(request: Request, fields: FieldMap | None) -> _Reader:
    """Put the steps of all files into the store."""
    reader = _Reader(request, fields or _map(request))
    request.store.add_steps(
        step
        for source in reader.sources()
        for entry, where in read_entries(request, source, reader.fields)
        for step in request.each(where, reader.steps, entry)
    )
    return reader


def _map(request: Request) -> FieldMap:
    source = request.options.get("map")
    return load_map(source) if source else FieldMap()


def _converse(request: Request, grid: FrameGrid, steps: list[Step], instruction: str) -> Conversation:
    """Say and ask what the steps hold, over all frames of a recording."""
    conversation = Conversation(0)
    if instruction:
        conversation.instruct(instruction)
    for step in steps:
        if step.start * request.fps > grid.last + 1e-6:
            request.tally.tell(
                "annotations after the end of their recording",
                f"{step.recording}: {step.text[:60]!r} at {step.start:g} s is after the end, {grid.seconds:g} s.",
            )
            continue
        conversation.watch(grid.after(step.start) + 1)
        if step.role == "user":
            conversation.ask(step.text)
        elif conversation.speaker == "assistant":
            request.tally.tell(
                "replies that share a frame", f"{step.recording}: {step.text[:60]!r} joins the reply of its frame."
            )
            conversation.extend(step.text)
        else:
            conversation.say(step.text)
    conversation.watch(grid.last + 1)
    return conversation


class _Reader:
    """Makes steps of the entries that a field map describes."""

    def __init__(self, request: Request, fields: FieldMap) -> None:
        options = request.options
        self.request, self.fields, self.kinds = request, fields, fields.kinds()
        kind = options.get("clock") or fields.clock
        if kind not in CLOCKS:
            raise RequestError(f"The clock {kind!r} is not known; known are {', '.join(CLOCKS)}.")
        self.clock = Clock(kind, options.get("rate") or fields.rate, options.get("offset") or 0.0)
        if not self.clock.rate > 0 or (kind == "frames" and not (options.get("rate") or fields.rate != 1.0)):
            raise RequestError("The clock counts frames: say with --rate how many of them are a second.")
        self.starts = read_starts(options.get("starts"))
        self.say_at = options.get("say_at") or fields.say_at
        self.split_name = fields.split_names.get(request.split, request.split)
        self.chosen = self._chosen()
        self.origins: dict[Path, float] = {}

    def sources(self) -> list[str]:
        """Return the files to read: those given, those of the map in a folder given, and topics of bags."""
        sources: list[str] = []
        for given in self.request.annotations or [""]:
            path = Path(given)
            if path.is_dir():
                patterns = self.fields.files or [f"**/*{suffix}" for suffix in READABLE if suffix != ".txt"]
                listed = [patterns] if isinstance(patterns, str) else patterns
                found = sorted({str(each) for pattern in listed for each in path.glob(self._named(pattern))})
                if not found:
                    names = ", ".join(self._named(pattern) for pattern in listed)
                    raise RequestError(f"--annotations {path}: there is no file {names} in it.")
                sources += found
            elif given and (path.exists() or (":/" in given and Path(given.partition(":/")[0]).exists())):
                sources.append(given)
            else:
                raise RequestError(f"--annotations {given} is not there: a file, a folder or BAG:/topic was expected.")
        return sources

    def _named(self, pattern: str) -> str:
        return pattern.replace("{split}", self.split_name)

    def in_split(self, recording: str) -> bool:
        """Return whether a recording belongs to the split, by the set's list or by its share."""
        shares = self.request.options.get("shares")
        if not shares:
            return self.chosen is None or recording in self.chosen
        drawn = self.request.draw("split", recording).random() * sum(shares)
        ends = [sum(shares[: index + 1]) for index in range(len(shares))]
        return _SHARES[next(index for index, end in enumerate(ends) if drawn < end)] == self.request.split

    def _chosen(self) -> set[str] | None:
        given = self.request.options.get("split_list")
        if given is None and self.fields.split_list and self.split_name:
            given = self.request.locate(self._named(self.fields.split_list))
        if given is None:
            return None
        try:
            return {line.strip() for line in Path(given).read_text(encoding="utf-8").splitlines() if line.strip()}
        except (OSError, ValueError) as error:
            raise RequestError(f"The list of recordings {given} cannot be read: {error}.") from error

    def steps(self, request: Request, entry: Chain) -> Iterator[Step]:
        """Yield the sentences of one entry that belong to the split."""
        split = lookup(self.fields.split, entry) if self.chosen is None else None
        if isinstance(split, str) and self.split_name and split != self.split_name:
            return
        for kind in self.kinds:
            role = kind.role or self._role(entry)
            if role and matches(kind.where, entry):
                yield self._step(entry, kind, role)

    def _step(self, entry: Chain, kind: Sentence, role: str) -> Step:
        fields = self.fields
        recording = recording_id(self._recording(entry))
        begin = self.starts.get(recording) if self.clock.absolute else self._origin(entry)
        start = seconds(self.clock.seconds(lookup(fields.start, entry), begin), "start")
        written = lookup(fields.end, entry)
        end = None if written is None else span(start, self.clock.seconds(written, begin))[1]
        text = one_line(_filled(kind.sentence, entry) if kind.sentence else lookup(kind.text, entry))
        text = _tidied(text) if fields.tidy else text
        annotator = lookup(fields.annotator, entry)
        at = end if self.say_at == "end" and end is not None else start
        return Step(recording, at, text, end, role, "" if annotator is None else decoded(str(annotator)))

    def _recording(self, entry: Chain) -> Any:
        value = lookup(self.fields.recording, entry)
        if self.fields.recording_pattern and value is not None:
            found = re.search(self.fields.recording_pattern, str(value))
            return found.group(1) if found else None
        return value

    def _role(self, entry: Chain) -> str:
        value = lookup(self.fields.role, entry)
        if value is None:
            return "assistant"
        role = self.fields.roles.get(str(value).strip().lower())
        if role is None:
            known = ", ".join(self.fields.roles)
            raise AnnotationError("roles that are not known", f"The role is {value!r:.40}; known are {known}.")
        return role

    def _origin(self, entry: Chain) -> float:
        """Return the first number of the map's `origin`, a file beside the annotation: the time of the first frame."""
        if not self.fields.origin:
            return 0.0
        path = Path(lookup("file.path", entry)).parent / self.fields.origin
        if path not in self.origins:
            try:
                number = re.search(r"-?\d+(\.\d+)?", path.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                number = None
            if number is None:
                raise AnnotationError("recordings whose beginning is not known", f"{path} does not say it.")
            self.origins[path] = float(number.group()) / self.clock.rate
        return self.origins[path]


def _filled(sentence: str, entry: Chain) -> str:
    return re.sub(r"{([^}]*)}", lambda name: str(lookup(name.group(1), entry) or ""), sentence)


def _tidied(text: str) -> str:
    """Return a sentence with a capital letter and a full stop."""
    text = text[:1].upper() + text[1:]
    return text if text[-1] in ".!?" else text + "."
