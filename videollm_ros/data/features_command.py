# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Encode recordings once, so that training reads features: one safetensors file per recording."""

from __future__ import annotations

import argparse
import math
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import torch
from tqdm import tqdm

from videollm_ros.data.convert.checks import recording_id
from videollm_ros.data.convert.request import RequestError
from videollm_ros.data.convert.tally import AnnotationError
from videollm_ros.data.feature_worker import Encoded, FeatureWorker
from videollm_ros.data.ray_features import encode_with_ray
from videollm_ros.data.recorded import RecordedSource
from videollm_ros.live import LiveConfig
from videollm_ros.live.checkpoint import load_vision, load_vision_tower
from videollm_ros.live.vision import VisionEncoder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("sources", nargs="+", help="videos, folders of images (30 Hz), bags (BAG or BAG:/topic)")
    parser.add_argument("--output", type=Path, required=True, help="folder for the features")
    parser.add_argument("--checkpoint", help="the model that will be trained or run: a folder or a hub id")
    parser.add_argument("--config", type=Path, help="live_config.json of a model that has no checkpoint yet")
    parser.add_argument("--vision", help="hub id or folder of the vision tower, when not where the checkpoint says")
    parser.add_argument("--fps", type=float, help="frames per second (default: the model's)")
    parser.add_argument("--batch-size", type=int, default=64, help="frames that are encoded together (default 64)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default auto)")
    parser.add_argument("--workers", type=int, default=0, help="processes, a GPU each where there are any, by Ray Data")


def run(given: argparse.Namespace) -> int:
    """Encode; return 0, or 1 where a recording could not be read.

    Raises:
        RequestError: two recordings have one id, or a setting is of no use.
        CheckpointError: the vision tower cannot be loaded.
    """
    sources = parse_sources(given.sources)
    if given.workers < 0:
        raise RequestError("--workers is a number of processes. Without it there is only this one.")
    if given.batch_size < 1 or (given.fps is not None and not 0 < given.fps < math.inf):
        raise RequestError("--fps is a rate above 0 Hz and --batch-size is at least 1.")
    began = time.monotonic()
    given.output = given.output.absolute()  # processes on other machines run in other folders
    make = partial(FeatureWorker, partial(load_encoder, given), given.output, given.fps, given.batch_size)
    worker = make()  # what is wrong with the checkpoint is said before any process is started
    done: Iterable[Encoded] = map(worker, sources)
    if given.workers:
        num_gpus = int(torch.cuda.is_available() and given.device != "cpu")
        done = encode_with_ray(make, sources, given.output, given.workers, num_gpus)
    return report(tqdm(done, desc="features", unit=" recordings", total=len(sources)), given, began)


def parse_sources(given: Iterable[str]) -> list[RecordedSource]:
    """Return the recordings.

    Raises:
        RequestError: two of them have one id, or a name is no id.
    """
    sources = [RecordedSource.parse(source) for source in given]
    for recording, number in Counter(source.recording for source in sources).items():
        if number > 1:
            raise RequestError(
                f"Several recordings are named {recording}, which is their id: give each a name of its own."
            )
        try:
            recording_id(recording)
        except AnnotationError as error:
            raise RequestError(str(error)) from error
    return sources


def load_encoder(given: argparse.Namespace) -> VisionEncoder:
    """Load the vision encoder of --checkpoint, or one for --config.

    Raises:
        RequestError: both are given, or the configuration cannot be read.
        CheckpointError: the vision tower cannot be loaded.
    """
    if given.checkpoint and given.config:
        raise RequestError("A checkpoint has its own configuration: give --checkpoint or --config.")
    if given.checkpoint:
        return load_vision(given.checkpoint, given.vision, given.device)
    device = ("cuda" if torch.cuda.is_available() else "cpu") if given.device == "auto" else given.device
    try:
        config = LiveConfig.load(given.config) if given.config else LiveConfig()
        vision = given.vision or config.vision
        if given.config and not given.vision and (given.config.parent / vision).is_dir():
            vision = given.config.parent / vision
        dtype = torch.bfloat16 if device.startswith("cuda") else torch.float32
        return VisionEncoder(load_vision_tower(vision, dtype), config).to(device)
    except (OSError, ValueError) as error:
        raise RequestError(str(error)) from error


def report(done: Iterator[Encoded] | Iterable[Encoded], given: argparse.Namespace, began: float) -> int:
    """Say what became of the recordings as they are done; return the exit code."""
    errors, skipped, recordings, frames = [], 0, 0, 0
    for encoded in done:
        skipped += encoded.skipped
        recordings += bool(encoded.frames)
        frames += encoded.frames
        if encoded.error:
            errors.append(encoded.recording)
            tqdm.write(f"{encoded.error} {encoded.recording} has no features.")
    rate = frames / max(time.monotonic() - began, 1e-9)
    said = f"{given.output}: {recordings:,} recordings encoded, {frames:,} frames, {rate:.1f} frames/s"
    print(f"{said}; {skipped:,} were there already; {len(errors):,} cannot be read{': ' if errors else ''}", end="")
    print(f"{', '.join(errors)}.")
    return 1 if errors else 0
