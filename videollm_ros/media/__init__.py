# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pixels from anywhere: image messages, video files, webcams; sampling by stamps. No torch, no rclpy."""
