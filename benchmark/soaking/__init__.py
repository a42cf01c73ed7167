# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parts of benchmark/soak.py: processes, what is watched, what is done at random."""
