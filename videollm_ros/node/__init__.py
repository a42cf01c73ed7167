# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The ROS 2 side: everything that imports rclpy lives here, and nothing below this package does."""

import os
import signal
import sys

_EXECUTABLES = {"assistant_node", "simulated_camera", "video_player"}

if any(each.replace("/", ".").rpartition(".")[2] in _EXECUTABLES for each in sys.orig_argv[1:6]):
    # This process is about to import torch and rclpy, which takes seconds. A signal in these seconds ends it quietly.
    # The node sets handlers of its own when it spins.
    signal.signal(signal.SIGINT, lambda *_: os._exit(0))
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
