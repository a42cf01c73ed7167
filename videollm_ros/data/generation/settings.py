# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `generate` and `refine` share: the limits, the model, and what is said at the end."""

from __future__ import annotations

import argparse
import math
from collections import Counter
from pathlib import Path

from videollm_ros.data.convert.request import RequestError
from videollm_ros.data.generation.chat import Chat, LocalChat, ServerChat
from videollm_ros.data.generation.journal import Journal
from videollm_ros.data.generation.runner import Limits, Runner


def limits_of(given: argparse.Namespace) -> Limits:
    """Return the limits.

    Raises:
        RequestError: a value is of no use.
    """
    rates = [given.timeout] + [value for value in (given.requests_per_minute, given.budget) if value is not None]
    if not all(0 < value < math.inf for value in rates) or min(given.concurrency, given.attempts) < 1:
        raise RequestError(
            "--timeout, --requests-per-minute, --budget, --concurrency and --attempts are numbers above 0."
        )
    if min(given.prices) < 0 or not 0 <= given.temperature < math.inf:
        raise RequestError("--prices and --temperature are no numbers below 0.")
    if given.budget is not None and not sum(given.prices):
        raise RequestError("--budget needs --prices: what a million tokens of prompts and of answers cost.")
    prices = (given.prices[0], given.prices[1])
    return Limits(given.concurrency, given.requests_per_minute, given.budget, prices, given.attempts)


def open_chat(given: argparse.Namespace) -> Chat:
    """Open the model.

    Raises:
        RequestError: there is no key for the server.
        CheckpointError: the local model cannot be loaded.
    """
    if given.local:
        return LocalChat(given.local, given.temperature)
    return ServerChat(given.model, given.url, given.timeout, given.temperature)


def report(path: Path, runner: Runner, journal: Journal, what: str) -> int:
    """Say what a run did; return 0, or 1 where something is left for another run."""
    outcome = runner.outcome
    print(f"{path}: {outcome.made:,} {what} made, {outcome.skipped:,} were there already.")
    if outcome.rejected:
        print(f"{journal.rejected_path}: {_counted(outcome.rejected)} put aside.")
    cost = runner.limits.cost(journal.tokens)
    spent = f", which cost {cost:.4f}" if sum(runner.limits.prices) else ""
    print(
        f"{journal.tokens[0]:,} tokens were sent and {journal.tokens[1]:,} were received{spent}, earlier runs included."
    )
    if outcome.left:
        print(f"Left for the next run of this command: {_counted(outcome.left)}.")
    return 1 if outcome.left else 0


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{count:,} {kind}" for kind, count in sorted(counts.items()))
