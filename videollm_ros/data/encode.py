# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Encode video files once, so that training reads features."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import torch
from tqdm import tqdm

from videollm_ros.data.convert.request import RequestError
from videollm_ros.data.features import FeatureFolder, write_features
from videollm_ros.live import LiveConfig
from videollm_ros.live.checkpoint import load_vision_tower
from videollm_ros.live.vision import VisionEncoder
from videollm_ros.media.video import sample_frames


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("videos", type=Path, nargs="+", help="video files; a video's id is its name without suffix")
    parser.add_argument("--output", type=Path, required=True, help="folder for the features")
    parser.add_argument("--config", type=Path, help="live_config.json of the model; without it, the published one")
    parser.add_argument("--vision", help="hub id or folder of the vision tower, when not where the config says")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")


def run(given: argparse.Namespace) -> int:
    """Encode; return 0.

    Raises:
        RequestError: two videos have one id, or a file or a setting cannot be read.
        CheckpointError: the vision tower cannot be loaded.
    """
    names = Counter(path.stem for path in given.videos)
    for path in given.videos:
        if names[path.stem] > 1:
            raise RequestError(f"Several videos are named {path.stem}, which is their id: give each a name of its own.")
    try:
        config = LiveConfig.load(given.config) if given.config else LiveConfig()
        dtype = torch.bfloat16 if given.device.startswith("cuda") else torch.float32
        vision = given.vision or config.vision
        if given.config and not given.vision and (given.config.parent / vision).is_dir():
            vision = given.config.parent / vision  # a self-contained checkpoint's own tower
        encoder = VisionEncoder(load_vision_tower(vision, dtype), config).to(given.device)
        folder = FeatureFolder(given.output)
        for path in tqdm(given.videos, desc="encoding", unit="video"):
            write_features(encoder, sample_frames(path, config.frame_fps), path.stem, folder)
    except ValueError as error:
        raise RequestError(str(error)) from error
    return 0
