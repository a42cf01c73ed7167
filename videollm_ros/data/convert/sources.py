# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What can be converted: the public benchmarks, the simulator, and everything that a field map describes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from videollm_ros.data.convert import coin
from videollm_ros.data.convert.ego4d_livechat import livechat
from videollm_ros.data.convert.ego4d_lta import lta
from videollm_ros.data.convert.ego4d_narration import narration, refined_narration
from videollm_ros.data.convert.ego4d_nlq import nlq
from videollm_ros.data.convert.fields import load_map, map_names
from videollm_ros.data.convert.request import Converter, Request, RequestError
from videollm_ros.data.convert.simulated import simulator
from videollm_ros.data.convert.timed import timed

_EGO4D_SPLITS = ("train", "val", "test")
_CONVERTERS: dict[str, tuple[Converter, tuple[str, ...]]] = {
    "timed": (timed, ()),
    "ego4d-narration": (narration, _EGO4D_SPLITS),
    "ego4d-refined-narration": (refined_narration, _EGO4D_SPLITS),
    "ego4d-goalstep-livechat": (livechat, ()),
    "ego4d-nlq": (nlq, _EGO4D_SPLITS),
    "ego4d-lta": (lta, _EGO4D_SPLITS),
    **{name: (converter, ("train", "test")) for name, converter in coin.CONVERTERS.items()},
    "simulator": (simulator, ()),
}


def source_names() -> list[str]:
    """Return the names of all sources that come with the package."""
    return [*_CONVERTERS, *map_names()]


def dialogues(request: Request) -> Iterator[dict[str, Any]]:
    """Return the dialogues of `request.source`: a name, or the path of a field map.

    Raises:
        RequestError: the source is not known, or has no such split.
    """
    if request.source in _CONVERTERS:
        converter, splits = _CONVERTERS[request.source]
        if splits and request.split not in splits:
            raise RequestError(f"--split of {request.source} is {' or '.join(splits)}, not {request.split!r}.")
        return converter(request)
    if request.source not in map_names() and Path(request.source).suffix not in (".yaml", ".yml"):
        known = ", ".join(source_names())
        raise RequestError(f"The source {request.source!r} is not known; known are {known}, and a map's YAML file.")
    return timed(request, load_map(request.source))
