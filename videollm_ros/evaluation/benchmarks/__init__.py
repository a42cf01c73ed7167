# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The field's benchmarks: public annotations and a folder of videos in, transcripts, scores and a report out."""
