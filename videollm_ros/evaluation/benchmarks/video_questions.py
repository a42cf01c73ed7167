# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Let a model watch a video in which a benchmark asks: each question at its own time, and the stream goes on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from videollm_ros.assistant import AssistantSettings
from videollm_ros.data.dialogues import check_video_id
from videollm_ros.evaluation.annotations import AnnotatedQuery
from videollm_ros.evaluation.benchmarks.benchmark import Record
from videollm_ros.evaluation.benchmarks.watch import Clip
from videollm_ros.evaluation.recording import VideoRecording
from videollm_ros.evaluation.transcribe import transcribe
from videollm_ros.evaluation.transcript import Said, Transcript
from videollm_ros.live import LiveModel
from videollm_ros.live.template import clean_user_text
from videollm_ros.media.video import video_duration

SECONDS_AFTER = 2.0
"""So long the stream goes on after the last question."""


@dataclass(frozen=True)
class VideoQuestions:
    """Watch the videos of a folder and be asked."""

    folder: Path
    watching: AssistantSettings
    """How the model watches."""
    window: int = 0
    """The model sees the last so many frames alone. 0: all that its context holds."""

    def missing(self, video: str) -> str:
        """Return as a sentence that a video is not there. Empty when it is."""
        try:
            return "" if self._path(video) else f"The video {video} is not in {self.folder}."
        except ValueError as error:
            return str(error)

    def watch(
        self,
        model: LiveModel,
        name: str,
        video: str,
        queries: Sequence[AnnotatedQuery],
        begin: float = 0.0,
        end: float = float("inf"),
    ) -> Record:
        """Watch a part of a video and ask.

        Args:
            model: the model.
            name: of the transcript.
            video: file name.
            queries: what is asked when, in seconds of the video. A time behind the last frame becomes its time.
            begin: first second that is watched.
            end: last second that is watched.

        Raises:
            VideoError: the video cannot be read.
            ValueError: no frame lies in the part, or a query cannot be asked.
        """
        path = self._path(video)
        if path is None:
            raise ValueError(self.missing(video))
        fps = self.watching.stream.fps or model.config.frame_fps
        latest = min(end, video_duration(path)) - 1 / fps
        asked = [replace(query, time=max(0.0, min(query.time, latest) - begin)) for query in queries]
        clip = Clip(VideoRecording(path), begin, end, name)
        transcript = transcribe(model, clip, self.watching, asked, window=self.window)
        transcript.thumbnails.clear()
        return Record(transcript)

    def _path(self, video: str) -> Path | None:
        """Find a file under its name, or under the last part of it.

        Raises:
            ValueError: the name leads out of the folder.
        """
        check_video_id(video)
        candidates = (self.folder / PurePosixPath(video), self.folder / PurePosixPath(video).name)
        return next((path for path in candidates if path.exists()), None)


@dataclass(frozen=True)
class AnnotationFile:
    """Read a JSON list of entries."""

    path: Path

    @cached_property
    def entries(self) -> list[dict[str, Any]]:
        """Return the entries.

        Raises:
            ValueError: the file is no JSON list of objects.
            OSError: it cannot be read.
        """
        try:
            entries = json.loads(self.path.read_text(encoding="utf-8-sig"))
        except (UnicodeDecodeError, json.JSONDecodeError) as error:
            raise ValueError(f"{self.path} is not JSON: {error}.") from error
        if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
            raise ValueError(f"{self.path} must hold a JSON list of objects.")
        return entries

    def fail(self, number: int, error: Exception) -> ValueError:
        """Return the error of an entry that has another form."""
        return ValueError(f"{self.path}: entry {number} has another form than the benchmark's: {error!r}.")


def answers(transcript: Transcript, queries: Sequence[AnnotatedQuery]) -> list[str]:
    """Return the answer to each query, in their order. Empty where none was given.

    Queries of one text are answered in the order of their times.
    """
    left: list[Said] = [said for said in transcript.utterances if said.query is not None]
    found = [""] * len(queries)
    for number in sorted(range(len(queries)), key=lambda each: queries[each].time):
        text = clean_user_text(queries[number].text)
        answer = next((said for said in left if said.query == text), None)
        if answer is not None:
            left.remove(answer)
            found[number] = answer.text
    return found
