# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Options that `generate` and `refine` share: the model, and the libraries that it takes."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from videollm_ros.data.convert.request import RequestError


@contextmanager
def optional_libraries(command: str) -> Iterator[None]:
    """Say how to install the libraries of a command where importing them fails.

    Raises:
        RequestError: a library is not installed.
    """
    try:
        yield
    except ImportError as error:
        raise RequestError(
            f'{command} needs more libraries ({error.name}): pip install "videollm_ros[generate]".'
        ) from error


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    model = parser.add_argument_group("language model (the key of a server is read from OPENAI_API_KEY)")
    which = model.add_mutually_exclusive_group(required=True)
    which.add_argument("--model", help="name of a model on an OpenAI-compatible server")
    which.add_argument("--local", help="folder or hub id of a Hugging Face model that runs in this process")
    model.add_argument("--url", help="base URL of the server (default: OPENAI_BASE_URL)")
    model.add_argument("--temperature", type=float, default=0.7, help="of the sampling (default 0.7)")
    model.add_argument("--timeout", type=float, default=120.0, help="seconds that a request may take (default 120)")
    model.add_argument("--attempts", type=int, default=3, help="for answers of another form (default 3)")
    model.add_argument("--concurrency", type=int, default=8, help="requests at once (default 8)")
    model.add_argument("--requests-per-minute", type=float, help="requests that begin per minute, at most")
    model.add_argument("--budget", type=float, help="stop asking when so much is spent, earlier runs included")
    model.add_argument(
        "--prices", type=float, nargs=2, metavar=("IN", "OUT"), default=(0.0, 0.0), help="of a million tokens"
    )
