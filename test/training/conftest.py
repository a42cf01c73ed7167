# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A small run that a test can change: tower, decoder and data of a size that trains in seconds."""

import copy

import pytest
import yaml

RUN = {
    "output": "",
    "threads": 1,
    "model": {
        "scratch": {
            "vocabulary_size": 400,
            "live": {
                "frame_resolution": 32,
                "frame_token_cls": False,
                "frame_token_pooled": [1, 3],
                "system_prompt": "A table.",
            },
            "vision": {
                "hidden_size": 16,
                "intermediate_size": 32,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
                "patch_size": 8,
                "vision_use_head": False,
            },
            "llm": {
                "hidden_size": 32,
                "intermediate_size": 64,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "num_key_value_heads": 1,
                "max_position_embeddings": 512,
            },
        }
    },
    "stages": [
        {
            "name": "dialogue",
            "trainable": {"llm": "all"},
            "data": {"simulator": {"seeds": [0, 8], "seconds": 8.0, "resolutions": [32]}},
            "trainer": {
                "max_steps": 6,
                "per_device_train_batch_size": 2,
                "learning_rate": 1.0e-3,
                "logging_steps": 1,
                "save_steps": 3,
                "report_to": "none",
                "disable_tqdm": True,
            },
        }
    ],
}


@pytest.fixture
def run(tmp_path):
    """Settings of a run that writes to `tmp_path / "run"`."""
    settings = copy.deepcopy(RUN)
    settings["output"] = str(tmp_path / "run")
    return settings


@pytest.fixture
def write_config(tmp_path):
    """Writes settings to a YAML file; returns its path."""

    def write(settings, name="run.yaml"):
        path = tmp_path / name
        path.write_text(yaml.safe_dump(settings))
        return path

    return write
