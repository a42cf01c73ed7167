# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Spread the making of features over processes, GPUs and machines with Ray Data (optional extra "ray").

A worker takes one recording after another. When a worker dies, Ray starts another one, which does that recording again.
"""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from videollm_ros.data.convert.request import RequestError
from videollm_ros.data.feature_worker import Encoded, FeatureWorker
from videollm_ros.data.recorded import RecordedSource

MOST_TRIES = 3
"""A recording that ends its worker so often is given up, for example one that crashes the video decoder."""
_GIVEN_UP = f"{MOST_TRIES} workers died while they read it."


class _Actor:
    """A worker as Ray Data calls it: a row in, a row out."""

    def __init__(self, make_worker: Callable[[], FeatureWorker], output: Path) -> None:
        self._worker, self._output = make_worker(), output

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        source = RecordedSource(Path(row["path"]), row["topic"])
        tries = _tries(self._output, source)
        with open(tries, "a", encoding="ascii") as file:
            file.write(f"{os.getpid()}\n")  # stays when this process is killed
        try:
            if len(tries.read_text(encoding="ascii").split()) > MOST_TRIES:
                return asdict(Encoded(source.recording, error=f"{source.path}: {_GIVEN_UP}"))
            return asdict(self._worker(source))
        finally:
            tries.unlink()


def encode_with_ray(
    make_worker: Callable[[], FeatureWorker],
    sources: Sequence[RecordedSource],
    output: Path,
    num_workers: int,
    num_gpus: int,
) -> Iterator[Encoded]:
    """Yield what became of each recording, in the order in which they are done.

    Ray uses the cluster that the environment variable RAY_ADDRESS names. Without it, it starts on this machine.

    Args:
        make_worker: loads the model. It is called in each worker.
        sources: the recordings. Every machine reads them under the same path.
        output: folder for the features, under the same path as well.
        num_workers: how many work at a time.
        num_gpus: GPUs of each worker, 0 or 1.

    Raises:
        RequestError: Ray is not installed, has fewer processors or GPUs than workers, or fails itself.
    """
    try:
        ray: Any = importlib.import_module("ray")  # its types ask for more than it documents
        importlib.import_module("ray.data")
    except ImportError as error:
        raise RequestError('--workers needs Ray Data: pip install "videollm_ros[ray]".') from error
    num_cpus = None if "RAY_ADDRESS" in os.environ else max(num_workers, os.cpu_count() or 1)
    try:
        ray.init(num_cpus=num_cpus, include_dashboard=False, log_to_driver=False)
        _check_resources(ray.cluster_resources(), num_workers, num_gpus)
        for row in _dataset(ray.data, make_worker, sources, output, num_workers, num_gpus).iter_rows():
            yield Encoded(**row)
    except (ray.exceptions.RayError, ConnectionError) as error:
        reason = str(error).rstrip().split("\n")[-1]  # the lines before it are a traceback
        raise RequestError(f"Ray failed: {reason}. Features that were made are kept.") from error
    finally:
        ray.shutdown()


def _check_resources(resources: dict[str, float], num_workers: int, num_gpus: int) -> None:
    for name, needed in (("CPU", num_workers), ("GPU", num_workers * num_gpus)):
        found = int(resources.get(name, 0))
        if found < needed:
            raise RequestError(f"{num_workers} workers need {needed} {name}s, and Ray has {found}. Give fewer.")


def _dataset(
    ray_data: Any,
    make_worker: Callable[[], FeatureWorker],
    sources: Sequence[RecordedSource],
    output: Path,
    num_workers: int,
    num_gpus: int,
) -> Any:
    """Return what Ray Data will do. A block is what is lost with a worker, and here it is one recording."""
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # of its plans, progress and tracebacks
    ray_data.DataContext.get_current().enable_progress_bars = False
    output.mkdir(parents=True, exist_ok=True)
    for source in sources:
        _tries(output, source).unlink(missing_ok=True)
    rows = [{"path": str(source.path.absolute()), "topic": source.topic} for source in sources]
    return ray_data.from_items(rows, override_num_blocks=len(rows)).map(
        _Actor,
        fn_constructor_args=(make_worker, output),
        compute=ray_data.ActorPoolStrategy(size=num_workers),
        num_cpus=1,
        num_gpus=num_gpus,
    )


def _tries(output: Path, source: RecordedSource) -> Path:
    """Return the file that has a line with the process id for each time a recording was begun."""
    return output / f".{source.recording}.tries"
