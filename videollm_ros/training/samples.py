# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Dialogues as training samples: encoded by the template, changed as the configuration asks, with their frames."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset

from videollm_ros.data.augmentation import break_reply, forget_frames, keep_silent_share
from videollm_ros.data.baselines import interleaved_labels, per_frame_dialogue
from videollm_ros.data.collation import Sample
from videollm_ros.data.dialogues import Dialogue, DialogueError, read_dialogues
from videollm_ros.data.features import FeatureFolder
from videollm_ros.live import LiveModel
from videollm_ros.live.vision import letterbox
from videollm_ros.media.video import sample_frames
from videollm_ros.training.config import DataConfig

_VIDEO_SUFFIXES = (".mp4", ".mkv", ".webm", ".avi", ".mov")


@dataclass(frozen=True)
class Source:
    """A dialogue, where its frames or features come from; `read` gives those that are not forgotten.

    `events` [T, 3] and `states` [T, 7]: the simulator's labels of these frames, for the lessons.
    """

    dialogue: Dialogue
    read: Callable[[Dialogue], Tensor]
    forgotten: int = 0
    events: Tensor | None = None
    states: Tensor | None = None


class DialogueSamples(Dataset):
    """Sample i is the same every time in an epoch, so that a resumed run sees what an uninterrupted one would have
    seen. Another epoch changes it in another way."""

    def __init__(
        self, sources: Sequence[Source], model: LiveModel, data: DataConfig, seed: int, *, frames: bool
    ) -> None:
        """`frames`: whether the sources give frames uint8 [T, 3, R, R], not features."""
        self._sources = sources
        self._template = model.template
        self._data = data
        self._seed = seed
        self._name = "frames" if frames else "features"
        self._max_tokens = getattr(model.llm.config.get_text_config(), "max_position_embeddings", None)
        self._epoch = torch.zeros((), dtype=torch.long).share_memory_()  # the loader's processes see it change

    def __len__(self) -> int:
        return len(self._sources)

    def __getitem__(self, index: int) -> Sample:
        source = self._sources[index]
        rng = random.Random(f"{self._seed}:{int(self._epoch)}:{index}")
        input_ids, labels = self.encode(source, rng)
        seen = {self._name: source.read(source.dialogue)}
        return Sample(input_ids, labels, **seen, events=source.events, states=source.states)

    def set_epoch(self, epoch: int) -> None:
        """Draw what is random in the samples for this epoch. The Trainer's data loader calls it."""
        self._epoch.fill_(epoch)

    def check_lengths(self) -> None:
        """Raise DialogueError for a dialogue that cannot be encoded, or is longer than the decoder can read."""
        for source in self._sources:
            dialogue = source.dialogue
            num_tokens = len(self._encode(source, dialogue.conversation)[0])
            if self._max_tokens is not None and num_tokens > self._max_tokens:
                raise DialogueError(
                    f"{dialogue.source}: the dialogue of {dialogue.num_frames} frames has {num_tokens} tokens, the "
                    f"decoder reads {self._max_tokens} at most (max_position_embeddings); split it."
                )

    def encode(self, source: Source, rng: random.Random) -> tuple[list[int], list[int]]:
        """Token ids and labels of a source, changed at random as the configuration asks."""
        data = self._data
        original = conversation = source.dialogue.conversation
        if data.broken_replies and rng.random() < data.broken_replies:
            conversation = break_reply(original, rng)
        input_ids, labels = self._encode(source, conversation)
        if conversation is not original and len(input_ids) > (self._max_tokens or len(input_ids)):
            input_ids, labels = self._encode(source, original)  # a correction made it too long
        if data.silent_share < 1:
            labels = keep_silent_share(input_ids, labels, self._template, data.silent_share, rng)
        return input_ids, labels

    def _encode(self, source: Source, conversation: list[dict]) -> tuple[list[int], list[int]]:
        data, template = self._data, self._template
        if data.baseline == "per_frame":
            conversation = per_frame_dialogue(conversation)
        try:
            input_ids, labels = template.encode(conversation)
        except ValueError as error:
            raise DialogueError(f"{source.dialogue.source}: {error}.") from error
        if data.baseline == "interleaved":
            labels = interleaved_labels(input_ids, labels, template)
        if source.forgotten:
            input_ids, labels = forget_frames(input_ids, labels, template, source.forgotten)
        return input_ids, labels


def file_sources(data: DataConfig, model: LiveModel) -> list[Source]:
    """Sources of a dialogue file, all checked against the features or videos they speak about, and giving those.

    Raises:
        DialogueError: file, line and what was expected.
    """
    dialogues = read_dialogues(data.dialogues)
    if data.features is not None:
        folder = FeatureFolder(data.features)
        expected = (model.config.frame_num_tokens, model.vision.hidden_size)
        for dialogue in dialogues:
            num_frames, *shape = folder.shape(dialogue)
            dialogue.check(num_frames)
            if tuple(shape) != expected:
                raise DialogueError(
                    f"{dialogue.source}: the features of video {dialogue.video} are {list(shape)} per frame, and the "
                    f"model takes {list(expected)}: they are of another vision tower, or pooled in another way."
                )
        return [Source(dialogue, folder.read) for dialogue in dialogues]
    reader = _VideoReader(Path(data.videos), model.config.frame_fps, model.config.frame_resolution)
    for dialogue in dialogues:
        reader.path(dialogue)
    return [Source(dialogue, reader.read) for dialogue in dialogues]


class _VideoReader:
    """Frames out of video files, sampled at the model's rate and fitted to its square."""

    def __init__(self, folder: Path, fps: float, resolution: int) -> None:
        self._folder, self._fps, self._resolution = folder, fps, resolution

    def path(self, dialogue: Dialogue) -> Path:
        for suffix in ("", *_VIDEO_SUFFIXES):
            path = self._folder / f"{dialogue.video}{suffix}"
            if path.is_file():
                return path
        raise DialogueError(f"{dialogue.source}: the video {dialogue.video} is not in {self._folder}.")

    def read(self, dialogue: Dialogue) -> Tensor:
        start, stop = dialogue.frames
        fitted, num_available = [], 0
        try:
            for frame in sample_frames(self.path(dialogue), self._fps, max_frames=stop):
                if num_available >= start:
                    fitted.append(letterbox(torch.from_numpy(frame).permute(2, 0, 1)[None], self._resolution))
                num_available += 1
        except ValueError as error:
            raise DialogueError(f"{dialogue.source}: {error}.") from error
        dialogue.check(num_available)
        return torch.cat(fitted)
