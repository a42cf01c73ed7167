# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Let a model watch a video in which a benchmark asks: each question at its own time, and the stream goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from videollm_ros.assistant import AssistantSettings
from videollm_ros.data.dialogues import check_video_id
from videollm_ros.evaluation.annotations import AnnotatedQuery
from videollm_ros.evaluation.benchmarks.benchmark import Item, Record
from videollm_ros.evaluation.benchmarks.footage import fingerprint_files
from videollm_ros.evaluation.benchmarks.watch import Clip
from videollm_ros.evaluation.recording import VideoRecording
from videollm_ros.evaluation.transcribe import transcribe
from videollm_ros.evaluation.transcript import Said, Transcript
from videollm_ros.live import LiveModel
from videollm_ros.live.template import clean_user_text

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

    def fingerprint(self, video: str) -> str:
        """Return what changes when the file of a video changes."""
        return fingerprint_files(self._found(video))

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
            queries: what is asked when, in seconds of the video. What lies behind the last frame is asked after it.
            begin: first second that is watched.
            end: last second that is watched.

        Raises:
            VideoError: the video cannot be read.
            ValueError: no frame lies in the part, or a query cannot be asked.
        """
        asked = [replace(query, time=max(0.0, query.time - begin)) for query in queries]
        clip = Clip(VideoRecording(self._found(video)), begin, end, name)
        transcript = transcribe(model, clip, self.watching, asked, window=self.window, ask_rest=True)
        transcript.thumbnails.clear()
        return Record(transcript)

    def _found(self, video: str) -> Path:
        path = self._path(video)
        if path is None:
            raise ValueError(self.missing(video))
        return path

    def _path(self, video: str) -> Path | None:
        """Find a file under its name, or under the last part of it.

        Raises:
            ValueError: the name leads out of the folder.
        """
        check_video_id(video)
        candidates = (self.folder / PurePosixPath(video), self.folder / PurePosixPath(video).name)
        return next((path for path in candidates if path.exists()), None)


class VideoBenchmark:
    """Hold what benchmarks share whose items are questions about videos.

    Args:
        annotations: the public file.
        questions: the videos, and how the model watches.
    """

    def __init__(self, annotations: Path, questions: VideoQuestions) -> None:
        self._annotations, self._questions = annotations, questions

    def missing(self, item: Item) -> str:
        """Return as a sentence that a video is not there."""
        return self._questions.missing(item.video)

    def fingerprint(self, item: Item) -> str:
        """Return what changes when the video changes."""
        return self._questions.fingerprint(item.video)


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
