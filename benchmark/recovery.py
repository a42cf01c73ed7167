# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Break the assistant in every way that it promises to survive, and measure how soon it reads the camera again.

    source ./activate.sh
    python benchmark/recovery.py --json benchmark/results/recovery.json

The assistant runs as a process of its own with the demo checkpoint, and is started again at once when it ends. This
process is its camera. For every fault the figures are the seconds from the fault to the first frame read that was
taken after it, the frames that were due meanwhile and were not read, and whether it speaks by itself afterwards. A
camera at rest has a frame every 0.5 s, so up to 0.5 s and no lost frame is what a fault without effect gives. Where the
process ends, the time has parts: until it ended, imports, the load of the model, and the first frame.

The exit code is 1 if a fault did not happen or if the stream was not read again.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from machine import describe_machine
from soaking.recovering import Graph, Lost

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "nothing": ("the camera at rest, for comparison", {}),
    "negative stamp, partials": ("an image stamped -5 s while partial utterances are followed", {"stamp": -5}),
    "negative stamp, goal": ("the same during a goal of ~/converse", {"stamp": -5, "goal": True}),
    "one far stamp": ("one image stamped a day ahead", {"stamp": 86_400}),
    "frame not a number": ("the encoder gives NaN for one frame", {"fault": "encoder nan", "log": "not finite"}),
    "decoder not finite": ("the decoder gives NaN once", {"fault": "decoder nan", "log": "not finite"}),
    "encoder exception": ("", {"fault": "encoder error"}),
    "decoder exception": ("", {"fault": "decoder error"}),
    "publisher exception": ("publishing an utterance raises", {"fault": "publisher error", "goal": True}),
    "encoder out of memory": ("", {"fault": "encoder memory", "log": "no memory for the encoder"}),
    "decoder out of memory": ("", {"fault": "decoder memory", "log": "no memory for the decoder"}),
    "recovery that raises": (
        "the decoder fails, and so does the reset after it",
        {"fault": "decoder error", "also": "reset error", "log": "a fault of the reset"},
    ),
    "reset, ask, bag again": ("~/reset, ~/ask, and the stamps begin at 10 s again", {"replay": 10.0}),
    "five failures in a row": ("exit code 3, started again", {"fault": "decoder error 5", "ends": 3}),
    "encoder thread dies": ("exit code 3, started again", {"fault": "encoder death", "ends": 3, "log": "thread"}),
    "inference thread dies": ("exit code 3, started again", {"fault": "decoder death", "ends": 3, "log": "thread"}),
    "warm-up that raises": ("the load fails once, and is tried again after 2 s", {"start": "encoder error"}),
    "load that fails": ("once, and is tried again after 2 s", {"start": "load error"}),
    "load that fails twice": ("tried again after 2 s and 4 s", {"start": "load error 2"}),
    "kill -9": ("started again", {"kill": True, "ends": -9}),
}  # fmt: skip


def main() -> int:
    """Run the cases. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", help=f"of: {', '.join(CASES)}")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--log", type=Path, help="folder for the logs")
    options = parser.parse_args()
    log = options.log or Path(tempfile.mkdtemp(prefix="recovery-"))
    log.mkdir(parents=True, exist_ok=True)
    rows, bad = [], 0
    with Graph(log) as graph:
        for name in options.cases or CASES:
            row: dict[str, Any] = {"fault": name, "what": CASES[name][0]}
            try:
                row |= graph.measure(**CASES[name][1])
            except Lost as error:
                row["problem"], bad = str(error), bad + 1
                graph.start_anew()
            rows.append(row)
            print(json.dumps(row), flush=True)
    figures = {"rows": rows, "date": time.strftime("%Y-%m-%d"), "machine": describe_machine(torch.device("cpu"))}
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
