# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`python -m videollm_ros.sim`: a simulated stream as a video with its events, or as a contact sheet."""

import argparse
from pathlib import Path

from videollm_ros.sim.tabletop import Tabletop


def main(arguments: list[str] | None = None) -> None:
    """Write what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m videollm_ros.sim", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="which stream (default 0)")
    parser.add_argument("--seconds", type=float, default=60.0, help="its length (default 60)")
    parser.add_argument("--out", type=Path, help="video to write; its events go to the same name with .json")
    parser.add_argument("--resolution", type=int, default=480, help="side of the video in pixels (default 480)")
    parser.add_argument("--fps", type=float, default=30.0, help="frames per second of the video (default 30)")
    parser.add_argument("--sheet", type=Path, help="contact sheet to write: four streams from the seed on")
    options = parser.parse_args(arguments)
    if not options.out and not options.sheet:
        parser.error("nothing to do: give --out or --sheet.")
    try:
        if options.out:
            from videollm_ros.sim.video import write_annotations, write_video  # PyAV is needed for a video alone

            tabletop = Tabletop(options.seed, options.seconds, options.resolution)
            write_video(tabletop, options.out, options.fps)
            write_annotations(tabletop, options.out.with_suffix(".json"))
        if options.sheet:
            from videollm_ros.sim.sheet import write_sheet

            write_sheet(options.sheet, list(range(options.seed, options.seed + 4)), options.seconds)
    except (OSError, ValueError) as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
