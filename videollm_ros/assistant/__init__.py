# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One stream at work, without ROS: frame scheduler, encoder thread, worker, speech policy, queries and utterances."""
