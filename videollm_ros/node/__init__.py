# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The ROS 2 side: everything that imports rclpy lives here, and nothing below this package does."""

import os
import signal
import sys

if sys.argv[:1] == ["-m"]:
    # `python -m videollm_ros.node.NAME` is about to import torch and rclpy, which takes seconds. An interrupt in these
    # seconds ends the process quietly; the node itself sets other handlers when it spins.
    signal.signal(signal.SIGINT, lambda *_: os._exit(0))
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
