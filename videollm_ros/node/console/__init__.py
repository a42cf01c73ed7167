# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The operator's console: a node in a process of its own that shows a web page (docs/console.md)."""
