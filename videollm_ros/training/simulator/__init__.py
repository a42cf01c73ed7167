# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What only the demo checkpoint needs: a model from scratch, and losses on what the simulator knows of a frame."""
