# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Errors that end a stream: the session refuses to go on until it is reset."""

from __future__ import annotations


class NonFiniteError(RuntimeError):
    """The decoder gave a probability or a logit that is NaN or infinite.

    Causes are an overflow of float16, a damaged checkpoint, or a frame whose embedding is not finite.
    """


class SessionBrokenError(RuntimeError):
    """An earlier step failed, so the session no longer knows what its cache holds. Call `reset()` to start over."""
