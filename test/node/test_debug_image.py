# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The debug image: drawn for every shape of picture, with a bar as long as the probability."""

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="there is no ROS 2 here")

from videollm_ros.live import FrameDecision
from videollm_ros.node.debug_image import BAR, WIDTH, draw


def decision(probability: float, speaks: bool = False) -> FrameDecision:
    return FrameDecision(stamp=12.5, speak_probability=probability, threshold=0.725, speaks=speaks)


@pytest.mark.parametrize("shape", [(480, 640), (96, 96), (1080, 1920), (1, 2000), (900, 30), (1, 1)])
def test_any_picture_can_be_drawn_on(shape):
    drawn = draw(np.full((*shape, 3), 90, np.uint8), decision(0.3), "A red cup appears. " * 20)
    assert drawn.shape[1:] == (WIDTH, 3) and drawn.dtype == np.uint8


@pytest.mark.parametrize("probability", [0.0, 0.25, 0.5, 1.0])
def test_the_bar_is_as_long_as_the_probability(probability):
    drawn = draw(np.zeros((480, 640, 3), np.uint8), decision(probability, speaks=True), "")
    bar = drawn[-BAR // 2]
    greens = int(((bar[:, 1] > 150) & (bar[:, 2] < 100)).sum())
    assert abs(greens - WIDTH * probability) <= 3  # the threshold's mark may cover two pixels


@pytest.mark.parametrize("probability", [2.0, -1.0])
def test_odd_probabilities_and_letters_do_not_stop_it(probability):
    draw(np.zeros((96, 96, 3), np.uint8), decision(probability), "Grüße, 你好")
