# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The simulated camera with faults on demand: odd stamps and images that no decoder can read, among its good ones.

They come from the camera's own publisher, because the assistant follows one publisher and ignores others. Each message
on /soak/camera_fault is `stamp SECONDS` or `malformed SEED`.
"""

from __future__ import annotations

import random
import time

from sensor_msgs.msg import Image
from std_msgs.msg import String

from videollm_ros.node.run_node import leave, run_node
from videollm_ros.node.simulated_camera import SimulatedCamera


class FaultyCamera(SimulatedCamera):
    """The simulated camera, with a subscription to faults."""

    def __init__(self) -> None:
        """Listen for faults."""
        super().__init__()
        self.create_subscription(String, "/soak/camera_fault", self._fault, 10)

    def _fault(self, message: String) -> None:
        kind, number = message.data.split()
        if kind == "stamp":
            image = Image(height=8, width=8, encoding="rgb8", step=24, data=bytes(192))
            image.header.stamp.sec = int(number)
            self._images.publish(image)
            return
        rng = random.Random(int(number))
        for _ in range(20):
            self._images.publish(malformed_image(rng, self.get_clock().now().to_msg()))
            time.sleep(0.005)  # the publisher keeps one image


def malformed_image(rng: random.Random, stamp: object) -> Image:
    """Return an image message that no decoder can read."""
    image = Image(height=rng.choice([0, 7, 2**32 - 1]), width=rng.choice([0, 9, 2**31]))
    image.header.stamp = stamp
    image.encoding = rng.choice(["rgb8", "nan", "x" * 5000, "32FC1", "bayer_rggb8"])
    image.step, image.data = rng.choice([0, 1, 2**32 - 1]), bytes(rng.randrange(100))
    return image


if __name__ == "__main__":
    leave(run_node("simulated_camera", FaultyCamera))
