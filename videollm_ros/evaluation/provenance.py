# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Say with what figures were made: versions of the software, and which checkpoint."""

from __future__ import annotations

import hashlib
import platform
from importlib import metadata
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import torch
from huggingface_hub import try_to_load_from_cache

from videollm_ros.live import LiveModel

_PACKAGES = ("numpy", "opencv-python-headless", "rosbags", "scipy", "torch", "transformers")
_READ = (".json", ".safetensors", ".txt", ".model")


def versions() -> dict[str, str]:
    """Return the versions of this package, of Python and of the libraries that the figures depend on."""
    found = {"videollm_ros": _own_version(), "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def describe_checkpoint(checkpoint: str | Path, model: LiveModel) -> dict[str, Any]:
    """Return the name of a checkpoint, what identifies it and its parts, and the device and type it ran on.

    A folder is identified by the SHA-256 of its files and their names, a hub id by its commit. The decoder and the
    vision tower are those that were loaded, wherever they came from.
    """
    folder = Path(checkpoint)
    described: dict[str, Any] = {"name": folder.resolve().name if folder.is_dir() else str(checkpoint)}
    if folder.is_dir():
        described["sha256"] = hash_folder(folder)
    elif (commit := _commit(str(checkpoint))) is not None:
        described["commit"] = commit
    for part, loaded in (("decoder", model.llm), ("vision", model.vision.tower)):
        described[part] = _identify_part(str(loaded.name_or_path))
    device = model.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else (platform.processor() or device.type)
    return described | {"device": name, "dtype": str(model.dtype).removeprefix("torch.")}


def describe_annotations(path: Path | None) -> str | None:
    """Identify a file, or the .jsonl files of a folder, by name and SHA-256. None when nothing is given."""
    if path is None:
        return None
    total = hashlib.sha256()
    for each in sorted(path.rglob("*.jsonl")) if path.is_dir() else [path]:
        total.update(each.name.encode() + b"\0" + each.read_bytes())
    return f"{path.resolve().name}, sha256 {total.hexdigest()}"


def hash_folder(folder: Path) -> str:
    """Return the SHA-256 of a checkpoint's weights, configuration and tokenizer."""
    total = hashlib.sha256()
    for path in sorted(each for each in folder.rglob("*") if each.suffix in _READ):
        total.update(path.relative_to(folder).as_posix().encode() + b"\0")
        with path.open("rb") as file:
            while block := file.read(2**20):
                total.update(block)
    return total.hexdigest()


def _identify_part(source: str) -> str:
    """Return the commit of a part from the hub, or the SHA-256 of its folder."""
    folder = Path(source)
    if not source or not folder.is_dir():
        return source or "made in memory"
    parts = folder.absolute().parts
    if "snapshots" in parts[:-1]:  # the hub's cache: models--OWNER--NAME/snapshots/COMMIT
        return "commit " + parts[parts.index("snapshots") + 1]
    return "sha256 " + hash_folder(folder)


def _commit(repository: str) -> str | None:
    for name in ("live_config.json", "adapter_config.json"):
        path = try_to_load_from_cache(repository, name)
        if isinstance(path, str):
            return Path(path).parent.name
    return None


def _own_version() -> str:
    for parent in Path(__file__).resolve().parents:
        for place in (parent / "package.xml", parent / "share" / "videollm_ros" / "package.xml"):
            if place.is_file():
                return ElementTree.parse(place).getroot().findtext("version") or "unknown"
    try:
        return metadata.version("videollm_ros")
    except metadata.PackageNotFoundError:
        return "unknown"
