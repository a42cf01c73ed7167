# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Annotations of recordings become streaming dialogues."""
