# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The ROS 2 side: everything that imports rclpy lives here, and nothing below this package does."""
