# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run `python -m videollm_ros.evaluation`: on recordings, on benchmarks, or on streams of the simulator."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path

from videollm_ros.demo_checkpoint import demo_checkpoint
from videollm_ros.evaluation.arguments import add_recording_commands, add_window
from videollm_ros.evaluation.benchmarks.options import COMMANDS, add_benchmark_commands
from videollm_ros.evaluation.option_ranges import check_numbers
from videollm_ros.evaluation.output_folder import BENCHMARK, refuse_other_results
from videollm_ros.live import DEFAULT_THRESHOLD, CheckpointError, LiveModel


def main() -> int:
    """Evaluate and return the exit code.

    Returns:
        0, 1 where recordings or items failed, 2 where something that was given is of no use, 130 where Ctrl-C ended it.
    """
    parser = _parser()
    given = parser.parse_args()
    try:
        return _evaluate(parser, given)
    except KeyboardInterrupt as interrupt:
        again = "interrupted. The same command goes on where it stood." if given.command in COMMANDS else ""
        print(f"\nvideollm-evaluate: {interrupt or again or 'interrupted. Nothing is written.'}", file=sys.stderr)
        return 130


def _evaluate(parser: argparse.ArgumentParser, given: argparse.Namespace) -> int:
    if given.command != "simulator":
        return _run(given)
    for path in (given.json, given.transcripts):
        if path is not None and not path.parent.is_dir():
            parser.error(f"{path} cannot be written: there is no folder {path.parent}")
        if path is not None and path.is_dir():
            parser.error(f"{path} cannot be written: it is a folder, and a file is expected")
    if not 0 <= given.tolerance < math.inf or (given.fps is not None and not 0 < given.fps < math.inf):
        parser.error("--tolerance is a number of seconds that is not negative, and --fps a rate above 0 Hz")
    if not 0 <= given.threshold <= 1:
        parser.error(f"--threshold {given.threshold}: theta is a probability from 0 to 1")
    if given.window < 0:
        parser.error(f"--window {given.window}: a number of frames is not negative")
    return _export(given) if given.export else _on_simulator(given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="videollm-evaluate", description="Evaluate a LIVE model.")
    commands = parser.add_subparsers(dest="command", required=True)
    simulator = commands.add_parser("simulator", help="on streams of the tabletop simulator")
    simulator.add_argument("--checkpoint", help="folder or hub id; without it, the demo checkpoint")
    simulator.add_argument("--seeds", type=_range, default=range(9000, 9200), metavar="START:STOP")
    simulator.add_argument("--seconds", type=float, default=60.0, help="length of each stream")
    simulator.add_argument("--fps", type=float, help="frames per second (default: the rate it was trained at)")
    simulator.add_argument("--threshold", type=float, default=DEFAULT_THRESHOLD, help="theta")
    simulator.add_argument("--resolution", type=int, default=96, help="side of the rendered frames in pixels")
    simulator.add_argument("--tolerance", type=float, default=1.0, help="seconds between an event and its utterance")
    add_window(simulator)
    simulator.add_argument("--device", default="auto")
    simulator.add_argument("--dtype", default="auto")
    simulator.add_argument(
        "--export", type=Path, metavar="FOLDER", help="write the streams in ProactiveVideoQA's format, and run nothing"
    )
    simulator.add_argument("--json", type=Path, help="file for the figures")
    simulator.add_argument("--transcripts", type=Path, help="file for everything that was said, one JSON line a stream")
    add_recording_commands(commands)
    add_benchmark_commands(commands)
    return parser


def _export(given: argparse.Namespace) -> int:
    """Write streams of the simulator as a benchmark and return the exit code."""
    from videollm_ros.evaluation.benchmarks.simulator_export import export_simulator

    try:
        annotations = export_simulator(given.export, given.seeds, given.seconds, given.resolution)
    except (OSError, ValueError) as error:
        print(f"videollm-evaluate: {error}", file=sys.stderr)
        return 2
    videos = given.export / "videos"
    print(f"{annotations} is written. To score a checkpoint on it:")
    print(f"  videollm-evaluate proactivevideoqa {annotations} --videos {videos} --match simulator --output OUT")
    return 0


def _on_simulator(given: argparse.Namespace) -> int:
    from videollm_ros.evaluation.simulator import StreamsConfig, evaluate_simulator, simulator_intervals

    try:
        model = LiveModel.from_pretrained(given.checkpoint or demo_checkpoint(), device=given.device, dtype=given.dtype)
        streams = StreamsConfig(
            given.seconds,
            given.threshold,
            given.resolution,
            given.tolerance,
            given.fps,
            teacher_forced=not given.window,  # which reads the whole dialogue
            window=given.window,
        )
        figures, transcripts = evaluate_simulator(model, given.seeds, streams, progress=True)
        warning = model.config.rate_warning(given.fps or model.config.frame_fps)
    except (CheckpointError, FileNotFoundError, ValueError) as error:
        print(f"videollm-evaluate: {error}", file=sys.stderr)
        return 2
    if warning:
        print(warning, file=sys.stderr)
    intervals = simulator_intervals(transcripts)
    for name, value in figures.items():
        within = intervals.get(name)
        suffix = f" [{within[0]:.4f}, {within[1]:.4f}]" if within else ""
        print(f"{name:24} {value if value is None or isinstance(value, int) else format(value, '.4f')}{suffix}")
    if given.json:
        given.json.write_text(json.dumps(figures | {"intervals": intervals}, indent=2) + "\n")
    if given.transcripts:
        from videollm_ros.evaluation.transcripts import as_lines

        given.transcripts.write_text("".join(as_lines(transcripts)))
    return 0


def _run(given: argparse.Namespace) -> int:
    """Run a command on recordings or a benchmark and return the exit code."""
    from videollm_ros.evaluation.benchmarks.command import run_command
    from videollm_ros.evaluation.compare import compare
    from videollm_ros.evaluation.record_commands import evaluate_recordings
    from videollm_ros.evaluation.sweep import sweep

    run: dict[str, Callable[[argparse.Namespace], int | None]] = dict.fromkeys(COMMANDS, run_command) | {
        "bag": evaluate_recordings,
        "video": evaluate_recordings,
        "compare": compare,
        "sweep": sweep,
    }
    try:
        check_numbers(given)
        if given.command in COMMANDS:
            refuse_other_results(given.output, BENCHMARK)
        return run[given.command](given) or 0
    except (OSError, ValueError) as error:
        print(f"videollm-evaluate: {error}", file=sys.stderr)
        return 2


def _range(text: str) -> range:
    try:
        start, stop = (int(part) for part in text.split(":"))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected START:STOP, for example 9000:9200, got {text!r}") from error
    if not 0 <= start < stop:
        raise argparse.ArgumentTypeError(f"START lies before STOP and neither is negative, got {text!r}")
    return range(start, stop)


if __name__ == "__main__":
    sys.exit(main())
