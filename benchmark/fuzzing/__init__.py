# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The targets of benchmark/fuzz.py: a strategy `cases` and a function `run(case)` each."""


class Refused(Exception):
    """The input was refused, with a sentence, as it should be."""
