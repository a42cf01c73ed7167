# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training: the streaming objective on the Hugging Face Trainer, configured by one YAML file."""

from videollm_ros.training.config import TrainConfig
from videollm_ros.training.yaml_dataclass import ConfigError

__all__ = ["ConfigError", "TrainConfig"]
