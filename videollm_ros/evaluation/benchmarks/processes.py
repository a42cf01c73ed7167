# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Spread a benchmark over the processes that `accelerate launch` or torchrun started. Alone, one does everything."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TypeVar

import torch

_Item = TypeVar("_Item")
_LONGEST_WAIT = timedelta(days=7)  # for the process with the longest items


class Processes:
    """Know the processes of this run. They share the folder of the results and no memory."""

    def __init__(self, device: str = "auto") -> None:
        """Join the other processes.

        Args:
            device: what --device says. With "auto" and several processes each takes an accelerator of its own.
        """
        from accelerate import PartialState  # takes a second that no other command should wait

        # Without being told, accelerate takes each process of a machine without accelerator for the only one.
        on_cpu = device == "cpu" or not torch.accelerator.is_available()
        self._state = PartialState(cpu=on_cpu, timeout=_LONGEST_WAIT)
        several = self.number > 1
        self.device = str(self._state.device) if several and device == "auto" else device

    @property
    def number(self) -> int:
        """Return how many processes there are."""
        return int(self._state.num_processes)

    @property
    def is_main(self) -> bool:
        """Return whether this process writes the results of all."""
        return bool(self._state.is_main_process)

    def share(self, items: Sequence[_Item]) -> list[_Item]:
        """Return the items of this process: every n-th one of n processes."""
        return list(items[self._state.process_index :: self._state.num_processes])

    def wait(self) -> None:
        """Wait until every process is here."""
        self._state.wait_for_everyone()

    def close(self) -> None:
        """Leave the other processes."""
        self._state.destroy_process_group()
