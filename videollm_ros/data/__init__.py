# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Annotated streams on disk: dialogues, the frames or features they speak about, and batches of them."""

from videollm_ros.data.collation import Collator, Sample
from videollm_ros.data.dialogues import Dialogue, DialogueError, read_dialogues
from videollm_ros.data.features import FeatureFolder, write_features
from videollm_ros.media.video import sample_frames

__all__ = [
    "Collator",
    "Dialogue",
    "DialogueError",
    "FeatureFolder",
    "Sample",
    "read_dialogues",
    "sample_frames",
    "write_features",
]
