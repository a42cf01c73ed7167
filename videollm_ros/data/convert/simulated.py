# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Streams of the tabletop simulator as dialogues; its videos come from `python -m videollm_ros.sim`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from videollm_ros.data.convert.request import Request, RequestError
from videollm_ros.sim.dialogue import record
from videollm_ros.sim.tabletop import Tabletop


def simulator(request: Request) -> Iterator[dict[str, Any]]:
    """Yield one dialogue per seed of `--seeds`, `--seconds` long."""
    for seed in _seeds(str(request.options.get("seeds") or "0:10")):
        try:
            yield record(Tabletop(seed, float(request.options.get("seconds") or 60.0), 96), request.fps)
        except ValueError as error:
            raise RequestError(f"The simulator cannot make stream {seed}: {error}") from error


def _seeds(text: str) -> range:
    first, _, stop = text.partition(":")
    try:
        seeds = range(int(first), int(stop)) if stop else range(int(first), int(first) + 1)
    except ValueError as error:
        raise RequestError(f"--seeds is FIRST:STOP, two integers such as 0:100, and was {text!r}.") from error
    if not seeds or seeds.start < 0:
        raise RequestError(f"--seeds {text} holds no seed: FIRST is at least 0 and smaller than STOP.")
    return seeds
