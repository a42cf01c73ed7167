# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Make the features of recordings, one recording after another. Every process that does it has a worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from videollm_ros.data.features import FeatureFolder, describe_encoder, encode_pictures
from videollm_ros.data.recorded import RecordedSource, RecordingError
from videollm_ros.live.vision import VisionEncoder


@dataclass(frozen=True)
class Encoded:
    """What became of one recording. `error` is a sentence, and empty where the features are written."""

    recording: str
    frames: int = 0
    error: str = ""
    skipped: bool = False


class FeatureWorker:
    """Makes the features of one recording after another.

    Args:
        load: loads the vision encoder.
        output: folder for the features.
        fps: frames per second. None takes the model's rate.
        batch_size: frames that are encoded together.
    """

    def __init__(self, load: Callable[[], VisionEncoder], output: Path, fps: float | None, batch_size: int) -> None:
        """Load the encoder."""
        self._encoder, self._folder, self._batch_size = load(), FeatureFolder(output), batch_size
        self._fps = self._encoder.config.frame_fps if fps is None else fps
        self._made_with = describe_encoder(self._encoder, self._fps)

    def __call__(self, source: RecordedSource) -> Encoded:
        """Encode a recording, unless its features are there, are newer than it and were made in the same way."""
        try:
            return self._encode(source)
        except RecordingError as error:
            return Encoded(source.recording, error=str(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, the recordings after this one are still done
            reason = next(iter(str(error).splitlines()), "")
            return Encoded(source.recording, error=f"{source.path}: {type(error).__name__}: {reason}")

    def _encode(self, source: RecordedSource) -> Encoded:
        recording = source.recording
        if self._is_done(source):
            return Encoded(recording, skipped=True)
        features = encode_pictures(self._encoder, source.frames(self._fps), self._batch_size)
        self._folder.write(recording, features, self._made_with)
        return Encoded(recording, frames=len(features))

    def _is_done(self, source: RecordedSource) -> bool:
        path = self._folder.path(source.recording)
        if not source.path.exists() or self._folder.made_with(source.recording) != self._made_with:
            return False
        return path.stat().st_mtime >= source.changed
