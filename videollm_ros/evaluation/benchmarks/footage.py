# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Find the frames of dialogues, as stored features or in a folder of videos."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from videollm_ros.data.dialogues import Dialogue, DialogueError
from videollm_ros.data.durations import Measured
from videollm_ros.data.features import FeatureFolder, describe_encoder, encode_frames
from videollm_ros.data.videos import VideoFolder
from videollm_ros.live import LiveModel
from videollm_ros.media.video import video_duration


def fingerprint_files(path: Path) -> str:
    """Return a hash of the names, the sizes and the times of change of a file, or of the files of a folder.

    Raises:
        OSError: there is no such file.
    """
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    facts = [(each.name, (stat := each.stat()).st_size, stat.st_mtime_ns) for each in files]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:24]


class Footage(Protocol):
    """Give the vision features of dialogues."""

    def missing(self, video: str) -> str:
        """Return as a sentence that a video is not there. Empty when it is."""

    def fingerprint(self, video: str) -> str:
        """Return what changes when the file of a video changes."""

    def seconds(self, video: str) -> float:
        """Return the time from the first frame of a video to its last one.

        Raises:
            ValueError: the video cannot be read.
        """

    def features(self, dialogue: Dialogue) -> Tensor:
        """Return the features [T, n, d_vision] of the frames of a dialogue.

        Raises:
            ValueError: the video cannot be read, is too short, or its features are of another model.
        """


class StoredFeatures:
    """Read features that `videollm-data features` stored."""

    def __init__(self, folder: Path, model: LiveModel) -> None:
        """Take the folder and the model that the features must be of."""
        self._folder, self._fps = FeatureFolder(folder), model.config.frame_fps
        self._made_with = describe_encoder(model.vision)
        self._shape = (model.config.frame_num_tokens, model.vision.hidden_size)

    def missing(self, video: str) -> str:
        """Return as a sentence that a video has no features."""
        path = self._folder.path(video)
        return "" if path.is_file() else f"The features of {video} are missing: there is no {path}."

    def fingerprint(self, video: str) -> str:
        """Return what changes when the features of a video change."""
        return fingerprint_files(self._folder.path(video))

    def seconds(self, video: str) -> float:
        """Return the time of the last frame."""
        num_frames = self._folder.shape(Dialogue(video, (0, 0), []))[0]
        return (num_frames - 1) / self._fps

    def features(self, dialogue: Dialogue) -> Tensor:
        """Return the features of the frames of a dialogue."""
        if not dialogue.num_frames:
            return torch.zeros(0, *self._shape)
        self._folder.check_encoder(dialogue, self._made_with)
        found = self._folder.read(dialogue)
        if tuple(found.shape[1:]) != self._shape:
            raise DialogueError(
                f"The features of {dialogue.video} are {list(found.shape[1:])} per frame, and the model takes "
                f"{list(self._shape)}: they are of another vision tower, or pooled in another way."
            )
        return found


class EncodedVideos:
    """Encode the frames of video files when they are needed."""

    def __init__(self, folder: Path, model: LiveModel) -> None:
        """Take the folder and the model that encodes."""
        config = model.config
        self._folder, self._model = VideoFolder(folder, config.frame_fps, config.frame_resolution), model

    def missing(self, video: str) -> str:
        """Return as a sentence that the file of a video is not there."""
        try:
            self._folder.path(Dialogue(video, (0, 0), [], "The annotations"))
        except DialogueError as error:
            return str(error)
        return ""

    def fingerprint(self, video: str) -> str:
        """Return what changes when the file of a video changes."""
        return fingerprint_files(self._folder.path(Dialogue(video, (0, 0), [])))

    @cache  # noqa: B019 (one folder per run; to measure a file is to read all its packets)
    def seconds(self, video: str) -> float:
        """Return the time of the last frame."""
        path = self._folder.path(Dialogue(video, (0, 0), []))
        return Measured(video, video_duration(path)).on_grid(self._model.config.frame_fps)

    def features(self, dialogue: Dialogue) -> Tensor:
        """Encode the frames of a dialogue."""
        if not dialogue.num_frames:
            return torch.zeros(0, self._model.config.frame_num_tokens, self._model.vision.hidden_size)
        return encode_frames(self._model.vision, self._folder.read(dialogue))
