# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Score transcripts against annotations with pure functions: what was said in, figures out."""
