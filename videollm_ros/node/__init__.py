# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The ROS 2 side: everything that imports rclpy lives here, and nothing below this package does."""

import gc
import os
import signal
import sys

_EXECUTABLES = {"assistant_node", "console", "simulated_camera", "speech_in", "speech_out", "video_player"}


def _program() -> str:
    """Return the name of the script or module that this process runs."""
    if sys.argv[:1] == ["-m"] and "-m" in sys.orig_argv:
        return sys.orig_argv[sys.orig_argv.index("-m") + 1].rpartition(".")[2]
    return os.path.basename(sys.argv[0]) if sys.argv else ""


if _program() in _EXECUTABLES:
    # This process is about to import torch and rclpy, which takes seconds. A signal in these seconds ends it quietly.
    # What is imported stays, so collecting garbage is a waste of time, a sixth of the whole. `spin_until_signalled`
    # sets handlers of its own and turns the collector on again.
    signal.signal(signal.SIGINT, lambda *_: os._exit(0))
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    gc.disable()
