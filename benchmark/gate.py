# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the frame gate saves and what it costs, on the demo checkpoint and simulated streams.

python benchmark/gate.py --json out.json
"""

from __future__ import annotations

from demo_streams import encode_streams, parse_arguments, watch, write_rows

from videollm_ros.evaluation import StreamScore
from videollm_ros.live import LiveModel, Step, StreamSession

GATES = (None, 0.999, 0.998, 0.995, 0.99, 0.98, 0.95)


def main() -> None:
    arguments = parse_arguments(__doc__)
    model = LiveModel.from_pretrained(arguments.checkpoint, device=arguments.device)
    streams = list(encode_streams(model, range(9000, 9000 + arguments.streams)))

    rows = []
    print("gate    frames read   event F1   time difference   answers   decoder seconds")
    for gate in GATES:
        steps: list[Step] = []
        session = StreamSession(model, frame_gate=gate, on_step=steps.append)
        total, num_read = StreamScore(), 0
        for tabletop, embeds in streams:
            watched = watch(session, tabletop, embeds)
            num_read += len(watched.decisions)
            total += watched.score
        seconds = sum(step.seconds for step in steps)
        row = {
            "gate": gate,
            "frames_read": num_read / sum(len(embeds) for _, embeds in streams),
            "decoder_seconds": seconds,
            **total.figures(),
        }
        rows.append(row)
        print(
            f"{gate or 'off':<7} {row['frames_read']:>11.1%}   {row['event_f1']:>8.3f}   "
            f"{row['mean_time_difference']:>13.3f} s   {row['answer_accuracy']:>7.3f}   {seconds:>15.1f}"
        )
    write_rows(arguments.json, rows, arguments.streams, model)


if __name__ == "__main__":
    main()
