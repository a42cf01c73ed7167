# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measuring a LIVE model: the paper's teacher-forced metrics, and what it says on streams it runs by itself."""

from videollm_ros.evaluation.matching import StreamScore, score_stream
from videollm_ros.evaluation.metrics import average_metrics, stream_metrics

__all__ = ["StreamScore", "average_metrics", "score_stream", "stream_metrics"]
