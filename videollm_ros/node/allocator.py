# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Keep the C library from holding on to memory that nobody uses. Both functions change the whole process.

glibc gives threads arenas of their own, up to 8 for each core, and what a thread frees stays in its arena. A model is
loaded by whichever threads of the executor and of transformers come, so that in time every arena has held one, and
keeps the room for it. Other C libraries and other allocators are left as they are.
"""

from __future__ import annotations

import ctypes
import os

MAX_ARENAS = 2
"""The main one, and one for all other threads. Importing rclpy makes one or two more."""
_M_ARENA_MAX = -8  # malloc.h


def limit_arenas() -> None:
    """Let all threads share `MAX_ARENAS` arenas. An arena that exists already stays.

    The environment variables MALLOC_ARENA_MAX and GLIBC_TUNABLES (glibc.malloc.arena_max) come first.
    """
    if "MALLOC_ARENA_MAX" in os.environ or "arena_max" in os.environ.get("GLIBC_TUNABLES", ""):
        return
    if (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:
        mallopt(_M_ARENA_MAX, MAX_ARENAS)


def trim() -> None:
    """Give the free pages of all arenas back to the system, not only those at their ends."""
    if (malloc_trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        malloc_trim(0)
