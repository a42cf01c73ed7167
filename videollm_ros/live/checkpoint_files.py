# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Find the files of a checkpoint and read them without trusting them.

A checkpoint is data from a stranger. This module reads JSON and safetensors only, and reports every defect as a
`CheckpointError` that names the file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

_MODEL_WEIGHTS = "model.safetensors"
_PART_FILES = ["*.json", "model*.safetensors", "*.txt", "tokenizer.model"]
_CHECKPOINT_FILES = ["*.json", "*.safetensors"]


_LONGEST_MESSAGE = 800


class CheckpointError(ValueError):
    """Report that a checkpoint cannot be loaded, because a file is missing or bad, or because parts do not fit.

    The message is cut to `_LONGEST_MESSAGE` characters: values from a file and lists of a library may be of any length.
    """

    def __init__(self, message: str) -> None:
        """Say what is wrong."""
        super().__init__(message if len(message) <= _LONGEST_MESSAGE else f"{message[:_LONGEST_MESSAGE]} ...")


def resolve_checkpoint(checkpoint: str | Path) -> Path:
    """Return the folder of a checkpoint. Download it if `checkpoint` is a hub id.

    Raises:
        CheckpointError: there is no such folder and the hub cannot provide it.
    """
    return find_folder(checkpoint) or _download(str(checkpoint), _CHECKPOINT_FILES, ignore=[])


def resolve_part(what: str, source: str | Path) -> Path:
    """Return the folder of a decoder or a vision tower. Download it if `source` is a hub id.

    Args:
        what: the name of the part in messages, such as "decoder".
        source: a folder or a hub id.

    Raises:
        CheckpointError: there is no such folder and the hub cannot provide it.
    """
    folder = find_folder(source)
    if folder is not None:
        return folder
    try:
        # Many repositories keep the same weights a second time in subfolders or in other precisions.
        return _download(str(source), _PART_FILES, ignore=["*/*", "*.fp16.*", "*.fp32.*", "*.bf16.*"])
    except CheckpointError as error:
        raise CheckpointError(f"the {what} cannot be loaded from {source}: {error}") from error


def find_folder(source: str | Path) -> Path | None:
    """Return `source` as a path if it is a folder. A name that cannot be a path is none."""
    place = os.path.expanduser(source)  # pathlib raises on names that are too long or have no such home
    return Path(place) if os.path.isdir(place) else None


def find_beside(folder: Path, source: str | Path, parts: tuple[str, ...]) -> Path | str:
    """Find a part that a checkpoint names.

    Args:
        folder: the checkpoint.
        source: what its configuration names: a subfolder, another folder or a hub id.
        parts: names that can only be subfolders, so that they are never looked for on the hub.

    Returns:
        the subfolder of `folder` if it exists, else `source` as given.

    Raises:
        CheckpointError: a named part is missing, or a relative path leaves the checkpoint.
    """
    if ".." in PurePath(source).parts:
        raise CheckpointError(
            f"{folder} names the part {source}, which lies outside of it; pass the folder as llm= or vision= instead"
        )
    found = find_folder(folder / source) or find_folder(source)
    if found is not None:
        return found
    if str(source) in parts:
        raise CheckpointError(f"the {source} part cannot be loaded from {folder / source}: there is no such folder")
    return source


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        CheckpointError: the file is missing, or does not hold a JSON object.
    """
    if not path.exists():
        raise CheckpointError(f"{path} is missing")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise CheckpointError(f"{path} is nested too deeply") from error
    except (OSError, ValueError) as error:  # ValueError covers bad JSON, bad UTF-8 and numbers of too many digits
        raise CheckpointError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} should hold a JSON object, not a {type(values).__name__}")
    return values


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read all tensors of a safetensors file.

    Raises:
        CheckpointError: the file is missing or is not a safetensors file.
    """
    if not path.exists():
        raise CheckpointError(f"{path} is missing; weights are read from safetensors only, never from pickles")
    try:
        return load_file(path)
    except (OSError, SafetensorError, ValueError) as error:
        raise CheckpointError(f"{path} is not a safetensors file: {error}") from error


def read_shapes(folder: Path) -> dict[str, list[int]]:
    """Read the names and shapes of a part's weights, from `model.safetensors` or its shards.

    Raises:
        CheckpointError: a file is missing or bad, or the index names a file outside of `folder`.
    """
    path = folder / _MODEL_WEIGHTS
    index = folder / f"{_MODEL_WEIGHTS}.index.json"
    if path.exists() or not index.exists():
        return _read_header(path)
    shards = read_json(index).get("weight_map")
    names = shards.values() if isinstance(shards, dict) else [None]
    if not all(isinstance(name, str) and name == PurePath(name).name for name in names):
        raise CheckpointError(f"{index} should map tensors to the names of files beside it")
    shapes: dict[str, list[int]] = {}
    for name in sorted(set(names)):
        shapes |= _read_header(folder / name)
    return shapes


def check_shapes(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path) -> None:
    """Check that a file has exactly the expected tensors.

    Raises:
        CheckpointError: a tensor is missing, is not known or has another shape.
    """
    for name, tensor in expected.items():
        if name not in found:
            raise CheckpointError(f"{path} lacks the tensor {name} of shape {list(tensor.shape)}")
    for name, tensor in found.items():
        if name not in expected:
            raise CheckpointError(f"{path} has the tensor {name} {list(tensor.shape)}, which the base model lacks")
        if tensor.shape != expected[name].shape:
            raise CheckpointError(
                f"{path}: the tensor {name} has shape {list(tensor.shape)}, "
                f"the base model and the vision tower expect {list(expected[name].shape)}"
            )


def _read_header(path: Path) -> dict[str, list[int]]:
    if not path.exists():
        raise CheckpointError(f"{path} is missing; weights are read from safetensors only, never from pickles")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: list(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (OSError, SafetensorError, ValueError) as error:
        raise CheckpointError(f"{path} is not a safetensors file: {error}") from error


def _download(repository: str, files: list[str], ignore: list[str]) -> Path:
    try:
        return Path(snapshot_download(repository, allow_patterns=files, ignore_patterns=ignore))
    except (HFValidationError, ValueError) as error:
        raise CheckpointError(f"{repository} is neither a folder nor a hub id") from error
    except LocalEntryNotFoundError as error:
        raise CheckpointError(
            f"{repository} is not a folder and could not be downloaded: the hub cannot be reached. Download it on a "
            "machine that reaches it (hf download), and give the folder"
        ) from error
    except (HfHubHTTPError, OSError) as error:
        raise CheckpointError(f"{repository} is not a folder and could not be downloaded: {error}") from error
