# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The console with something to see: the simulated camera and the assistant on a graph of their own (`make console`).

Environment: SEED is which simulated stream (another one every time, unless given), VIDEO is a video file, a folder of
images or a webcam (/dev/video0 or 0) to watch instead, PORT is the port of the page (8770). Ctrl-C ends everything.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
from pathlib import Path

from videollm_ros.node.console.__main__ import main as serve
from videollm_ros.node.demo import SEEDS, Processes, choose_show

RESOLUTION = 480  # pixels: the model sees 96, a person wants more
FPS = 10.0


def main() -> int:
    """Run until an interrupt. Returns the exit code of the console."""
    try:
        seed = int(os.environ.get("SEED") or random.randrange(*SEEDS))
        port = int(os.environ.get("PORT") or 8770)
    except ValueError as error:
        print(f"SEED and PORT are numbers: {error}", file=sys.stderr)
        return 2
    # A graph of its own: nothing else on the network is disturbed, and nothing disturbs the demo.
    os.environ["ROS_DOMAIN_ID"] = str(random.randint(1, 101))
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    show = choose_show(os.environ.get("VIDEO", ""), seed, 600.0)
    camera, *settings = show.camera
    if camera == "simulated_camera":
        settings += [f"resolution:={RESOLUTION}", f"fps:={FPS}"]
    with tempfile.TemporaryDirectory(prefix="videollm_ros_console_") as folder:
        processes = Processes(Path(folder))
        try:
            processes.start(camera, settings)
            processes.start("assistant_node", show.assistant)
            return serve(["--ros-args", "-p", f"port:={port}"])
        finally:
            processes.stop()


if __name__ == "__main__":
    sys.exit(main())
