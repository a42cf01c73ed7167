# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever is wrong with an annotation is a sentence that is counted, and the rest goes on."""

import json
import os
import tracemalloc
from pathlib import Path

import pytest

from videollm_ros.data.convert.json_stream import elements
from videollm_ros.data.convert.tally import Tally
from videollm_ros.data.convert.writer import write_lines

GOLDENS = Path(__file__).parents[1] / "goldens" / "datasets"
HEAD = "recording,start,end,text,role\n"
GOOD = "a,1,2,Good.,\n"


@pytest.mark.parametrize(
    ("row", "says", "counted"),
    [
        ("a,-3,,Early.,", "The start is -3 s, before the recording begins", "1 negative times"),
        ("a,5,4,Back.,", "It ends at 4 s, before its start at 5 s", "1 ends before their start"),
        ("a,nan,,Never.,", "A number was expected", "1 times that are no number"),
        ("a,soon,,Never.,", "A number was expected", "1 times that are no number"),
        ("a,,,Never.,", "A number was expected", "1 times that are no number"),
        ("a,3,,  ,", "The text is empty", "1 empty texts"),
        ("a,99,,Late.,", "'Late.' at 99 s is after the end, 10 s", "1 annotations after the end of their recording"),
        (",3,,Nobody.,", "", ""),
        ("z,3,,Unknown.,", "z: it has no duration", "1 annotated recordings without a duration"),
        ("../../etc/x,3,,Evil.,", "is a path", "1 ids that are no name"),
        ("/etc/x,3,,Evil.,", "is a path", "1 ids that are no name"),
        ("..,3,,Evil.,", "is a path", "1 ids that are no name"),
        ("a,3,,Who?,robot", "The role is 'robot'", "1 roles that are not known"),
    ],
)
def test_a_bad_row_is_told_and_the_rest_goes_on(convert, tmp_path, row, says, counted):
    path = tmp_path / "n.csv"
    path.write_text(f"{HEAD}{row}\n{GOOD}")
    made = convert("timed", path)
    assert made.code == 0
    assert "Good." in made.texts(0)
    assert says in made.said
    assert counted in made.said


def test_a_row_in_another_encoding_is_told_with_its_line(convert, tmp_path):
    path = tmp_path / "n.csv"
    path.write_bytes(f"{HEAD}a,3,,Caf\xe9.,\n{GOOD}".encode("latin-1"))
    made = convert("timed", path)
    assert made.texts() == ["3", "Good.", "18"]
    assert "n.csv:2: The text 'Caf\ufffd.' is not UTF-8" in made.said


def test_broken_lines_of_jsonl_are_told(convert, tmp_path):
    path = tmp_path / "n.jsonl"
    good = json.dumps({"recording": "a", "start": 1, "text": "Good."})
    path.write_text(f'{{"recording": \n{good}\n[1, 2]\n"text"\n{"[" * 100_000}\n')
    made = convert("timed", path)
    assert made.texts() == ["3", "Good.", "18"]
    assert "n.jsonl:1: it is no JSON" in made.said


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.95])
@pytest.mark.parametrize(
    ("source", "name"), [("ego4d-nlq", "nlq_val.json"), ("ego4d-narration", "all_narrations_redacted.json")]
)
def test_a_truncated_json_gives_what_stands_before(convert, tmp_path, source, name, keep):
    (tmp_path / "narration_stream_video_uids_val.json").write_text('["vid300", "vid301", "vid305"]')
    whole = (GOLDENS / "ego4d" / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: int(keep * len(whole))])
    durations = json.loads((GOLDENS / "expected.json").read_text())["durations"]
    made = convert(source, tmp_path, durations=durations, options=["--split", "val"])
    assert made.code == (0 if made.lines else 1)
    assert f"{name}: it cannot be read to its end" in made.said


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", "3", '{"videos": 5}', "\x00\xff"])
@pytest.mark.parametrize("source", ["ego4d-nlq", "ego4d-goalstep-livechat", "coin-step", "timed"])
def test_an_empty_or_foreign_file_is_told_and_nothing_is_written(convert, tmp_path, source, text):
    path = tmp_path / "file.json"
    path.write_text(text, encoding="latin-1")
    made = convert(source, path, options=["--split", "train"])
    assert (made.code, made.lines) == (1, [])
    assert "nothing was written" in made.said
    assert "file.json: " in made.said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["timed", "none.csv"], "none.csv is not there"),
        (["ego4d-nlq", "."], "ego4d-nlq reads nlq_train.json, which is not in"),
        (["coin-step", "n.json", "--split", "val"], "--split of coin-step is train or test, not 'val'"),
        (["ego4d-lta", "."], "fho_lta_train.json"),
        (["holoassist", "."], "holoassist reads train-v1_2.txt"),
        (["youcook2", "."], "there is no file youcookii_annotations_trainval.json"),
        (["holoasist", "."], "The source 'holoasist' is not known"),
    ],
)
def test_what_cannot_begin_is_one_sentence(convert, tmp_path, arguments, says):
    source, name, *options = arguments
    (tmp_path / "n.json").write_text("{}")
    made = convert(source, tmp_path / name, options=options or ["--split", "train"])
    assert made.code == 2
    assert says in made.said
    assert "Traceback" not in made.said


def test_an_earlier_file_stays_when_nothing_new_can_be_written(convert, tmp_path):
    (tmp_path / "out.jsonl").write_text('{"old": 1}\n')
    (tmp_path / "n.csv").write_text(HEAD)
    made = convert("timed", tmp_path / "n.csv")
    assert made.code == 1
    assert made.lines == [{"old": 1}]
    assert not list(tmp_path.glob(".*part"))


def test_a_failure_in_the_middle_leaves_no_file_behind(tmp_path):
    def lines():
        yield {"video": "a", "frames": [0, 2], "conversation": [{"role": "stream", "num_frames": 2}]}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_lines(lines(), tmp_path / "out.jsonl", Tally())
    assert os.listdir(tmp_path) == []


def test_a_new_file_is_readable_as_any_other(convert, tmp_path):
    (tmp_path / "n.csv").write_text(HEAD + GOOD)
    convert("timed", tmp_path / "n.csv")
    assert (tmp_path / "out.jsonl").stat().st_mode == (tmp_path / "n.csv").stat().st_mode


def test_a_million_bad_rows_do_not_fill_the_console(convert, tmp_path):
    path = tmp_path / "n.csv"
    path.write_text(HEAD + "a,-1,,Early.,\n" * 2000 + GOOD)
    made = convert("timed", path)
    assert "2,000 negative times" in made.said
    assert len(made.said.splitlines()) < 12


def test_a_large_json_is_read_an_entry_at_a_time(tmp_path):
    path = tmp_path / "large.json"
    entry = json.dumps({"text": "x" * 1000, "time": 1.5})
    path.write_text(f'{{"videos": [{", ".join([entry] * 20_000)}]}}')  # 20 MB
    tracemalloc.start()
    try:
        assert sum(1 for _ in elements(path, "videos", Tally())) == 20_000
        assert tracemalloc.get_traced_memory()[1] < 2 * 2**20
    finally:
        tracemalloc.stop()
