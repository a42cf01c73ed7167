# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A team's own notes, in every form and clock, as dialogues over its recordings."""

import json

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

CSV = "recording,start,end,text,role\n"


def notes(tmp_path, text, name="notes.csv", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


def test_a_sentence_follows_the_first_frame_at_or_after_its_time(convert, tmp_path):
    made = convert("timed", notes(tmp_path, CSV + "a,1.0,,On time.,\na,2.1,,Rounded up.,\n"))
    assert made.lines[0]["frames"] == [0, 21]
    assert made.texts() == ["3", "On time.", "3", "Rounded up.", "15"]
    assert all(m["learn"] for m in made.lines[0]["conversation"])


def test_the_same_notes_in_every_format_give_the_same_dialogue(convert, tmp_path):
    rows = [
        (1.2, 2.0, "Take the cup.", "assistant"),
        (3.0, 3.5, "What now?", "user"),
        (3.0, 4.0, "Go on.", "assistant"),
    ]
    keys = ("start", "end", "text", "role")
    entries = [{"recording": "a"} | dict(zip(keys, row, strict=True)) for row in rows]
    cues = [(f"00:00:0{s:.3f} --> 00:00:0{e:.3f}", f"<v User>{t}" if r == "user" else t) for s, e, t, r in rows]
    tabbed = ["\t".join(entries[0]), *("\t".join(map(str, entry.values())) for entry in entries)]
    files = [
        notes(tmp_path, CSV + "".join(f"a,{s},{e},{t},{r}\n" for s, e, t, r in rows), "1.csv"),
        notes(tmp_path, "\n".join(tabbed), "2.tsv"),
        notes(tmp_path, "".join(json.dumps(e) + "\n" for e in entries), "3.jsonl"),
        notes(tmp_path, json.dumps(entries), "4.json"),
        notes(tmp_path, "WEBVTT\n\n" + "".join(f"{time}\n{text}\n\n" for time, text in cues), "a.vtt"),
    ]
    made = [convert("timed", file) for file in files]
    assert [each.texts() for each in made] == [["4", "Take the cup.", "3", "> What now?", "Go on.", "14"]] * len(files)


def test_subrip_takes_the_recording_from_the_file_name(convert, tmp_path):
    text = "1\n00:00:01,200 --> 00:00:02,000\nTake the <i>cup</i> &amp; go.\n\n"
    assert convert("timed", notes(tmp_path, text, "a.srt")).texts() == ["4", "Take the cup & go.", "17"]


@pytest.mark.parametrize(
    ("time", "options"),
    [
        ("3.0", []),
        ("00:00:03.0", []),
        ("0:03,0", []),
        ("90", ["--clock", "frames", "--rate", "30"]),
        ("1700000003.0", ["--clock", "stamp"]),
        ("1700000003000000000", ["--clock", "stamp", "--rate", "1e9"]),
        ("2023-11-14T22:13:23Z", ["--clock", "utc"]),
        ("2023-11-14T23:13:23.00+01:00", ["--clock", "utc"]),
        ("1.0", ["--offset", "2"]),
    ],
)
def test_a_clock_leads_to_the_same_frame(convert, tmp_path, time, options):
    starts = notes(tmp_path, json.dumps({"a": 1_700_000_000.0}), "starts.json")
    options = [*options, "--starts", starts]
    made = convert("timed", notes(tmp_path, f'recording,start,text\na,"{time}",Now.\n'), options=options)
    assert made.texts() == ["7", "Now.", "14"]


def test_stamps_of_a_recording_that_has_no_known_beginning_are_told(convert, tmp_path):
    made = convert("timed", notes(tmp_path, CSV + "a,1700000000,,Hello.,\n"), options=["--clock", "stamp"])
    assert made.code == 1
    assert "needs the time of the first frame in --starts" in made.said


def test_a_clock_that_counts_frames_needs_their_rate(convert, tmp_path):
    made = convert("timed", notes(tmp_path, CSV), options=["--clock", "frames"])
    assert made.code == 2
    assert "say with --rate how many" in made.said


def test_a_query_and_its_answer_at_one_time_share_a_frame(convert, tmp_path):
    made = convert("timed", notes(tmp_path, CSV + "a,1,,The answer.,assistant\na,1,,The question?,user\n"))
    assert made.texts() == ["3", "> The question?", "The answer.", "18"]


def test_sentences_on_one_frame_are_joined_and_told(convert, tmp_path):
    made = convert("timed", notes(tmp_path, CSV + "a,1.1,,First.,\na,1.2,,Second.,\na,1.3,,Second.,\n"))
    assert made.texts() == ["4", "First. Second.", "17"]
    assert "joins the reply of its frame" in made.said


def test_overlapping_steps_are_each_said_at_their_start(convert, tmp_path):
    made = convert("timed", notes(tmp_path, CSV + "a,1,6,Long.,\na,2,3,Inside.,\n"))
    assert made.texts() == ["3", "Long.", "2", "Inside.", "16"]


def test_sentences_can_follow_their_end(convert, tmp_path):
    made = convert("timed", notes(tmp_path, CSV + "a,1,6,Done.,\n"), options=["--say-at", "end"])
    assert made.texts() == ["13", "Done.", "8"]


def test_each_annotator_gives_a_dialogue(convert, tmp_path):
    rows = "recording,start,text,annotator\na,1,One.,ann\na,2,Two.,bob\na,3,Three.,ann\n"
    made = convert("timed", notes(tmp_path, rows))
    assert [line["annotator"] for line in made.lines] == ["ann", "bob"]
    assert [made.texts(0), made.texts(1)] == [["3", "One.", "4", "Three.", "14"], ["5", "Two.", "16"]]


def test_recordings_in_which_nothing_happens_are_negatives_on_request(convert, tmp_path):
    path, durations = notes(tmp_path, CSV + "a,1,,Hello.,\n"), {"a": 10.0, "quiet": 4.0}
    assert [line["video"] for line in convert("timed", path, durations=durations).lines] == ["a"]
    made = convert("timed", path, durations=durations, options=["--negatives"])
    assert made.lines[1] == {
        "video": "quiet",
        "frames": [0, 9],
        "conversation": [{"role": "stream", "num_frames": 9, "learn": True}],
    }


def test_a_standing_instruction_opens_each_dialogue(convert, tmp_path):
    made = convert("timed", notes(tmp_path, CSV + "a,1,,Hi.,\n"), options=["--instruction", "Tell me what I do."])
    assert made.lines[0]["conversation"][0] == {"role": "user", "content": "Tell me what I do.", "answer": False}


def test_shares_split_recordings_once_and_for_all(convert, tmp_path):
    names = [f"r{n}" for n in range(200)]
    rows = CSV + "".join(f"{name},1,,Hello.,\n" for name in names)
    durations = dict.fromkeys(names, 10.0)
    parts = [
        {line["video"] for line in convert("timed", notes(tmp_path, rows), durations=durations, options=options).lines}
        for split in ("train", "val", "test")
        for options in [["--split", split, "--shares", "0.8", "0.1", "0.1"]]
    ]
    assert set.union(*parts) == set(names)
    assert sum(map(len, parts)) == len(names)
    assert 140 < len(parts[0]) < 180
    more = convert("timed", notes(tmp_path, rows + "new,1,,Hi.,\n"), durations=durations | {"new": 9.0},
                   options=["--split", "train", "--shares", "0.8", "0.1", "0.1"])  # fmt: skip
    assert {line["video"] for line in more.lines} - {"new"} == parts[0]


def test_a_list_of_recordings_or_a_column_says_the_split(convert, tmp_path):
    rows = "recording,start,text,split\na,1,In.,train\nb,1,Out.,val\n"
    durations = {"a": 5.0, "b": 5.0}
    made = convert("timed", notes(tmp_path, rows), durations=durations, options=["--split", "train"])
    assert [line["video"] for line in made.lines] == ["a"]
    listed = notes(tmp_path, "b\n", "val.txt")
    made = convert("timed", notes(tmp_path, rows), durations=durations, options=["--split-list", listed])
    assert [line["video"] for line in made.lines] == ["b"]


def test_a_field_map_of_ones_own_needs_no_code(convert, tmp_path):
    path = notes(tmp_path, "clip;t;what\na;1;open the door\n")
    keys = ['delimiter: ";"', "recording: clip", "start: t", "sentences: [{text: what}]", "tidy: true"]
    fields = notes(tmp_path, "\n".join(keys), "m.yaml")
    assert convert(str(fields), path).texts() == ["3", "Open the door.", "18"]
    assert convert("timed", path, options=["--map", fields]).texts() == ["3", "Open the door.", "18"]


def test_an_unknown_key_of_a_map_is_named_with_the_nearest(convert, tmp_path):
    made = convert(str(notes(tmp_path, "recordin: x\n", "m.yaml")), notes(tmp_path, CSV))
    assert made.code == 2
    assert "unknown key 'recordin'. Did you mean recording?" in made.said


@pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def test_notes_spoken_into_a_bag_become_its_dialogue(convert, tmp_path, storage):
    types = get_typestore(Stores.ROS2_JAZZY)
    begin = 1_700_000_000 * 10**9
    time = types.types["builtin_interfaces/msg/Time"]
    with Writer(tmp_path / "a", version=9, storage_plugin=storage) as bag:
        images = bag.add_connection("/camera/image_raw", "sensor_msgs/msg/Image", typestore=types)
        texts = bag.add_connection("/notes", "std_msgs/msg/String", typestore=types)
        for tenth in range(51):
            stamp = begin + tenth * 10**8
            head = types.types["std_msgs/msg/Header"](time(stamp // 10**9, stamp % 10**9), "camera")
            image = types.types["sensor_msgs/msg/Image"](head, 2, 2, "rgb8", 0, 6, np.zeros(12, np.uint8))
            bag.write(images, stamp + 7, types.serialize_cdr(image, image.__msgtype__))
            if tenth == 12:
                note = types.types["std_msgs/msg/String"]("I open the drawer.")
                bag.write(texts, stamp + 9, types.serialize_cdr(note, note.__msgtype__))
    made = convert("timed", f"{tmp_path / 'a'}:/notes", durations={"a": 5.0})
    assert made.texts() == ["4", "I open the drawer.", "7"]
    lost = convert("timed", f"{tmp_path / 'a'}:/nothing", durations={"a": 5.0}, output="other.jsonl")
    assert lost.code == 1
    assert "/notes (std_msgs/msg/String, 1 messages)" in lost.said


def test_the_simulator_is_a_source(convert):
    made = convert("simulator", options=["--seeds", "3:5", "--seconds", 20])
    assert [line["video"] for line in made.lines] == ["tabletop-3", "tabletop-4"]
    assert made.lines[0]["frames"] == [0, 40]
