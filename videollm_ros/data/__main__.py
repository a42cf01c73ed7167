# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`python -m videollm_ros.data features ...`: encode videos once, so that training reads features."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

import torch
from tqdm import tqdm

from videollm_ros.data.features import FeatureFolder, write_features
from videollm_ros.live import CheckpointError, LiveConfig
from videollm_ros.live.checkpoint import load_vision_tower
from videollm_ros.live.vision import VisionEncoder
from videollm_ros.media.video import sample_frames

_DEFAULTS = LiveConfig()


def main() -> int:
    """Encode; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m videollm_ros.data", description="Prepare training data.")
    commands = parser.add_subparsers(dest="command", required=True)
    features = commands.add_parser("features", help="encode video files once")
    features.add_argument("videos", type=Path, nargs="+", help="video files; a video's id is its name without suffix")
    features.add_argument("--output", type=Path, required=True, help="folder for the features")
    features.add_argument("--config", type=Path, help="live_config.json of the model; without it, the published one")
    features.add_argument("--vision", help="hub id or folder of the vision tower, when not where the config says")
    features.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    given = parser.parse_args()
    names = Counter(path.stem for path in given.videos)
    for path in given.videos:
        if names[path.stem] > 1:
            parser.error(f"several videos are named {path.stem}, which is their id: give each a name of its own")
    try:
        config = LiveConfig.load(given.config) if given.config else _DEFAULTS
        dtype = torch.bfloat16 if given.device.startswith("cuda") else torch.float32
        vision = given.vision or config.vision
        if given.config and not given.vision and (given.config.parent / vision).is_dir():
            vision = given.config.parent / vision  # a self-contained checkpoint's own tower
        encoder = VisionEncoder(load_vision_tower(vision, dtype), config).to(given.device)
        folder = FeatureFolder(given.output)
        for path in tqdm(given.videos, desc="encoding", unit="video"):
            write_features(encoder, sample_frames(path, config.frame_fps), path.stem, folder)
    except (CheckpointError, ValueError) as error:
        print(f"videollm_ros.data: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
