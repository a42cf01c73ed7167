# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A file that is missing, damaged or dangerous is named, and nothing in a checkpoint is ever run."""

import json
import shutil

import pytest
import torch

from videollm_ros.live import CheckpointError, LiveModel
from videollm_ros.live.config import CONFIG_NAME


def load_adapter(parts, **options):
    sources = {"llm": parts / "base", "vision": parts / "vision", "device": "cpu", **options}
    return LiveModel.from_pretrained(parts / "adapter", **sources)


def load(folder, **options):
    return LiveModel.from_pretrained(folder, device="cpu", **options)


def edit_json(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_folder_that_is_no_checkpoint_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=rf"{tmp_path} has neither adapter_config.json nor live_config.json"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["/no/such/folder", "not//a hub id", "./relative/nothing"])
def test_neither_a_folder_nor_a_hub_id(name):
    with pytest.raises(CheckpointError, match=f"{name} is neither a folder nor a hub id"):
        load(name)


def test_a_hub_id_that_cannot_be_had_is_named():
    with pytest.raises(CheckpointError, match="nobody/nothing is not a folder and could not be downloaded"):
        load("nobody/nothing")


@pytest.mark.parametrize(
    ("missing", "complaint"),
    [
        ("connector.safetensors", "connector.safetensors is missing; .*never from pickles"),
        ("llm/model.safetensors", "decoder cannot be loaded from .*llm: .*model.safetensors"),
        ("llm/config.json", "decoder cannot be loaded from .*llm"),
        ("llm/tokenizer.json", "tokenizer cannot be loaded from .*llm"),
        ("vision/model.safetensors", "vision tower cannot be loaded from .*vision: .*model.safetensors"),
        ("vision/config.json", "vision tower cannot be loaded from .*vision"),
    ],
)
def test_a_missing_file_is_named(saved, missing, complaint):
    (saved / missing).unlink()
    with pytest.raises(CheckpointError, match=complaint):
        load(saved)


@pytest.mark.parametrize("part", ["llm", "vision"])
def test_a_missing_folder_is_named(saved, part):
    shutil.rmtree(saved / part)
    with pytest.raises(CheckpointError, match=f"cannot be loaded from .*{part}"):
        load(saved)


def test_a_missing_adapter_file_is_named(parts):
    (parts / "adapter" / "adapter_model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"adapter_model.safetensors is missing; .*never from pickles"):
        load_adapter(parts)


@pytest.mark.parametrize("part", ["connector", "adapter", "llm"])
def test_pickles_are_never_read(parts, saved, part, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "it ran"), "w"))

    file, pickle_name = {
        "connector": (saved / "connector.safetensors", "connector.bin"),
        "adapter": (parts / "adapter" / "adapter_model.safetensors", "adapter_model.bin"),
        "llm": (saved / "llm" / "model.safetensors", "pytorch_model.bin"),
    }[part]
    torch.save({"weight": Bomb()}, file.with_name(pickle_name))
    file.unlink()
    with pytest.raises(CheckpointError, match=r"safetensors"):
        load_adapter(parts) if part == "adapter" else load(saved)
    assert not (tmp_path / "it ran").exists()


def test_code_in_a_checkpoint_is_not_run(saved, tmp_path):
    (saved / "llm" / "modeling_evil.py").write_text(f"open({str(tmp_path / 'it ran')!r}, 'w')\nclass Evil: pass\n")
    edit_json(
        saved / "llm" / "config.json",
        model_type="evil",
        auto_map={"AutoConfig": "modeling_evil.Evil", "AutoModelForCausalLM": "modeling_evil.Evil"},
    )
    with pytest.raises(CheckpointError, match="decoder cannot be loaded"):
        load(saved)
    assert not (tmp_path / "it ran").exists()


@pytest.mark.parametrize("file", ["connector.safetensors", "llm/model.safetensors", "vision/model.safetensors"])
@pytest.mark.parametrize("damage", ["cut off", "not safetensors", "empty"])
def test_a_damaged_file_is_named(saved, file, damage):
    path = saved / file
    content = path.read_bytes()
    path.write_bytes({"cut off": content[: len(content) // 2], "not safetensors": b"x" * 999, "empty": b""}[damage])
    with pytest.raises(CheckpointError, match=file.split("/")[0].removesuffix(".safetensors")):
        load(saved)


@pytest.mark.parametrize("file", [CONFIG_NAME, "llm/config.json", "vision/config.json", "llm/tokenizer.json"])
@pytest.mark.parametrize("content", ["{", "[]", ""])
def test_a_damaged_configuration_is_named(saved, file, content):
    (saved / file).write_text(content)
    with pytest.raises(CheckpointError, match=f"{file}|{file.split('/')[0]}"):
        load(saved)


@pytest.mark.parametrize("content", ["{", "[]", "{}"])
def test_a_damaged_adapter_configuration_is_named(parts, content):
    (parts / "adapter" / "adapter_config.json").write_text(content)
    with pytest.raises(CheckpointError, match="adapter"):
        load_adapter(parts)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"frame_colour": "red"}, "live_config.json has settings unknown to this version: frame_colour"),
        ({"frame_resolution": 0}, "frame_resolution is a number of pixels, at least 1: 0"),
        ({"frame_resolution": "large"}, "frame_resolution"),
        ({"frame_token_pooled": [3]}, "frame_token_pooled is rows and columns"),
        ({"frame_token_pooled": 3}, "frame_token_pooled"),
        ({"frame_token_cls": False, "frame_token_pooled": None}, "a frame needs tokens"),
        ({"frame_fps": 0}, "frame_fps is a rate in Hz above 0"),
        ({"frame_fps": "fast"}, "frame_fps"),
        ({"frame_resolution": 64}, "reads frames of 96 pixels, the checkpoint was made for 64"),
        ({"frame_token_interval": "<and>"}, "interval '<and>' must be one token"),
    ],
)
def test_a_setting_that_cannot_be_is_named(saved, changes, complaint):
    edit_json(saved / CONFIG_NAME, **changes)
    with pytest.raises(CheckpointError, match=complaint):
        load(saved)
