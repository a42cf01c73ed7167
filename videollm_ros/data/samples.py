# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Dialogues as training samples: encoded by the template, changed as the configuration says, with what they show."""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

import torch
from torch.utils.data import Dataset

from videollm_ros.data.augmentation import corrupt_reply, forget_frames, keep_silence
from videollm_ros.data.baselines import interleaved_labels, per_frame_dialogue
from videollm_ros.data.collation import Sample
from videollm_ros.data.dialogues import Dialogue, Message
from videollm_ros.data.sources import FRAMES, DataConfig, Source, max_tokens
from videollm_ros.live import LiveModel

_NUM_CHECKED = 10_000
"""Samples per source whose length and frames are checked before training."""


class DialogueSamples(Dataset[Sample]):
    """The samples of one epoch of several sources.

    A sample depends on the seed, the epoch and its index only, so that a resumed run sees what an uninterrupted one
    would have seen.
    """

    def __init__(
        self, sources: Sequence[Source], model: LiveModel, data: DataConfig, seed: int, visual: str = FRAMES
    ) -> None:
        """Put the sources together.

        Args:
            sources: what `open_sources` returned for `data`, encoded where needed.
            model: its template and the number of its positions are used.
            data: how the dialogues are changed.
            seed: of all that is random.
            visual: what the sources give now: FEATURES or FRAMES.
        """
        self._sources = list(sources)
        self._template, self._data, self._seed, self._visual = model.template, data, seed, visual
        self._max_tokens = max_tokens(data, model)
        weights = [config.weight for config in data.all_sources]
        counts = [max(1, round(w * len(source))) for w, source in zip(weights, sources, strict=True)]
        self._counts, self._starts = counts, [0, *accumulate(counts)]
        self._epoch = torch.zeros((), dtype=torch.long).share_memory_()  # the loader's processes see it change

    def __len__(self) -> int:
        """Return the number of samples in an epoch."""
        return self._starts[-1]

    def __getitem__(self, index: int) -> Sample:
        """Return sample `index` of the epoch."""
        source, position = self._locate(index)
        rng = random.Random(f"{self._seed}:{int(self._epoch)}:{index}")
        dialogue = source.dialogue(position, rng)
        input_ids, labels = self._changed(dialogue, rng)
        shown = {self._visual: source.visual(position, dialogue)}
        return Sample(input_ids, labels, **shown, **source.frame_labels(position))

    def set_epoch(self, epoch: int) -> None:
        """Draw what is random in the samples for this epoch. The Trainer's data loader calls it."""
        self._epoch.fill_(epoch)

    def check(self) -> None:
        """Check the samples: all of a small source, evenly spaced ones of a large one.

        Raises:
            DialogueError: a dialogue that cannot be encoded, is too long, or does not fit its features or video.
        """
        for source in self._sources:
            for index in range(0, len(source), max(1, math.ceil(len(source) / _NUM_CHECKED))):
                dialogue = source.dialogue(index, None)
                source.check(dialogue)
                num_tokens = len(self._encode(dialogue, dialogue.conversation)[0])
                if num_tokens > self._max_tokens:
                    dialogue.fail(
                        f"the dialogue of {dialogue.num_frames} frames has {num_tokens} tokens, the decoder reads "
                        f"{self._max_tokens} at most; make it shorter, or set data.max_tokens"
                    )

    def mean_tokens(self) -> float:
        """Return the mean number of tokens of an unchanged sample."""
        lengths = [
            len(self._encode(dialogue, dialogue.conversation)[0])
            for source in self._sources
            for dialogue in (source.dialogue(index, None) for index in range(len(source)))
        ]
        return sum(lengths) / len(lengths)

    def _locate(self, index: int) -> tuple[Source, int]:
        """Return the source of sample `index` of this epoch, and which of its samples it is.

        A source's samples are taken in turn through all epochs. When an epoch has only a part of them, they are
        taken in another order than the file's, so that the part is not the start of the file.
        """
        number = bisect_right(self._starts, index) - 1
        count, length = self._counts[number], len(self._sources[number])
        position = (int(self._epoch) * count + index - self._starts[number]) % length
        if count % length:
            position = position * _stride(length) % length
        return self._sources[number], position

    def _changed(self, dialogue: Dialogue, rng: random.Random) -> tuple[list[int], list[int]]:
        """Return token ids and labels, changed at random as the configuration says."""
        data = self._data
        original = conversation = dialogue.conversation
        if data.reply_corruption and rng.random() < data.reply_corruption:
            conversation = corrupt_reply(original, rng)
        input_ids, labels = self._encode(dialogue, conversation)
        if conversation is not original and len(input_ids) > self._max_tokens:
            input_ids, labels = self._encode(dialogue, original)  # a correction made it too long
        if data.silence_keep_ratio < 1:
            labels = keep_silence(input_ids, labels, self._template, data.silence_keep_ratio, rng)
        return input_ids, labels

    def _encode(self, dialogue: Dialogue, conversation: list[Message]) -> tuple[list[int], list[int]]:
        data, template = self._data, self._template
        if data.baseline == "per_frame":
            conversation = per_frame_dialogue(conversation)
        try:
            input_ids, labels = template.encode(conversation)
        except ValueError as error:
            dialogue.fail(str(error))
        if data.baseline == "interleaved":
            labels = interleaved_labels(input_ids, labels, template)
        if dialogue.forgotten:
            input_ids, labels = forget_frames(input_ids, labels, template, dialogue.forgotten)
        return input_ids, labels


def _stride(length: int) -> int:
    """Return a step near the golden section of `length` that visits every index once."""
    step = max(1, round(length * 0.618))
    while math.gcd(step, length) != 1:
        step += 1
    return step
