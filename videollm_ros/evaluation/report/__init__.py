# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Draw results as pages: one file each, without network, readable on a phone and in the dark."""
