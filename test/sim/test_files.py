# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A simulated stream as a video, its annotations and a contact sheet."""

import json

import av
import cv2
import numpy as np
import pytest

from videollm_ros.sim import Tabletop
from videollm_ros.sim.__main__ import main


def test_a_stream_is_written_as_a_video_with_its_events(tmp_path):
    out = tmp_path / "stream.mp4"
    main(f"--seed 3 --seconds 30 --fps 10 --resolution 96 --out {out}".split())
    tabletop = Tabletop(3, 30)
    with av.open(str(out)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == 300
    difference = np.abs(frames[105].astype(int) - tabletop.render(10.5).astype(int)).mean()
    assert difference < 8  # grey levels: compression and noise, not another scene
    written = json.loads((tmp_path / "stream.json").read_text())
    assert [event["text"] for event in written["events"]] == [event.text for event in tabletop.events]
    assert [question["answer"] for question in written["questions"]] == [q.answer for q in tabletop.questions]


def test_a_contact_sheet_is_a_picture(tmp_path):
    main(f"--seed 3 --seconds 30 --sheet {tmp_path / 'sheet.png'}".split())
    assert cv2.imread(str(tmp_path / "sheet.png")).std() > 20


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("", "give --out or --sheet"),
        ("--sheet {}/absent/sheet.png", "existing folder"),
        ("--resolution 65 --out {}/a.mp4", "must be even"),
    ],
)
def test_what_cannot_be_done_is_said(arguments, sentence, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments.format(tmp_path).split())
    assert ended.value.code != 0
    assert sentence in capsys.readouterr().err
