# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Give the assistant a voice and ears: say its utterances aloud, and turn what people say into queries."""
