# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Let a language model write streaming dialogues from timed steps (paper, section 3.2)."""
