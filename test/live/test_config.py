# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A configuration is read whole or refused with the setting that is wrong."""

import json
import math

import pytest

from videollm_ros.live import LiveConfig


def test_what_is_saved_is_what_is_loaded(tmp_path):
    config = LiveConfig(frame_token_pooled=(2, 2), frame_fps=4.0, max_positions=13200)
    config.save(tmp_path)
    assert LiveConfig.load(tmp_path / "live_config.json") == config


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"frame_fps": math.inf}, "frame_fps is a rate in Hz above 0: inf"),
        ({"frame_fps": math.nan}, "frame_fps is a rate in Hz above 0: nan"),
        ({"stream_loss_weight": math.nan}, "stream_loss_weight is a weight of at least 0: nan"),
        ({"stream_loss_weight": -1.0}, "stream_loss_weight is a weight"),
        ({"frame_resolution": True}, "frame_resolution should be of type int: True"),
        ({"system_prompt": "Watch \ud800"}, "system_prompt holds half of a surrogate pair"),
        ({"frame_token_pooled": [3, True]}, "two integers"),
        ({"max_positions": 0}, "max_positions"),
    ],
)
def test_a_value_out_of_its_range_is_refused_by_name(tmp_path, change, complaint):
    path = tmp_path / "live_config.json"
    path.write_text(json.dumps(change))  # JSON of Python has Infinity and NaN
    with pytest.raises(ValueError, match=complaint):
        LiveConfig.load(path)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "{", "[]", '{"frame_rate": 2}'])
def test_a_file_that_is_none_of_ours_is_refused_as_that(tmp_path, text):
    path = tmp_path / "live_config.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"live_config\.json"):
        LiveConfig.load(path)


@pytest.mark.parametrize(("fps", "warns"), [(1.0, True), (1.5, False), (2.0, False), (5.0, False), (10.0, True)])
def test_a_rate_far_from_the_trained_one_has_a_warning_that_names_both(fps, warns):
    warning = LiveConfig(frame_fps=2.0).rate_warning(fps)
    assert bool(warning) == warns
    assert not warns or ("trained at 2 frames per second" in warning and f"reads {fps:g}." in warning)
