# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ProactiveVideoQA, StreamingBench and OVO-Bench on small files in their formats, over videos of the simulator."""

import json

import pytest

from videollm_ros.assistant import AssistantSettings
from videollm_ros.evaluation.annotations import AnnotatedQuery
from videollm_ros.evaluation.benchmarks.annotation_file import Fields, parse_seconds
from videollm_ros.evaluation.benchmarks.ovo_bench import Question, questions_of
from videollm_ros.evaluation.benchmarks.video_questions import VideoQuestions, answers
from videollm_ros.evaluation.results import write_metrics
from videollm_ros.evaluation.transcript import Said, Transcript
from videollm_ros.sim import Tabletop

SEEDS, SECONDS = range(9020, 9023), 20.0


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The simulator's export: anno.json and videos/tabletop-SEED.mp4."""
    from videollm_ros.evaluation.benchmarks.simulator_export import export_simulator

    folder = tmp_path_factory.mktemp("exported")
    export_simulator(folder, SEEDS, SECONDS)
    return folder


def write(path, entries):
    path.write_text(json.dumps(entries))
    return path


def metrics_of(folder):
    return json.loads((folder / "metrics.json").read_text())


def utterances_of(folder):
    return [json.loads(line) for line in (folder / "utterances.jsonl").read_text().splitlines()]


def test_the_simulator_is_exported_from_the_command_line(evaluate, tmp_path):
    arguments = ["--seeds", "9020:9021", "--seconds", 5, "--export", tmp_path / "new" / "folder"]
    code, out, _ = evaluate("simulator", *arguments)
    assert code == 0 and "--match simulator" in out
    (entry,) = json.loads((tmp_path / "new" / "folder" / "anno.json").read_text())
    assert entry["conversation"][0]["time"] == 0 and entry["duration"] == 5.0
    assert (tmp_path / "new" / "folder" / "videos" / entry["video"]).is_file()


def test_the_export_has_the_events_of_the_stream_and_their_spans(exported):
    entry = json.loads((exported / "anno.json").read_text())[0]
    events = Tabletop(SEEDS[0], SECONDS).events
    assert [answer["content"] for answer in entry["answer"]] == [event.text for event in events]
    assert [answer["reply_timespan"] for answer in entry["answer"]] == [[e.time, e.time + 2.0] for e in events]


@pytest.mark.slow
def test_the_demo_is_scored_on_the_export_by_the_simulators_own_judge(evaluate, exported, tmp_path):
    arguments = [exported / "anno.json", "--videos", exported / "videos", "--match", "simulator"]
    code, out, said = evaluate("proactivevideoqa", *arguments, "--output", tmp_path / "out")
    assert code == 0, said
    found = metrics_of(tmp_path / "out")
    assert found["pauc"] > 0.8 > 0.5 > found["baselines"]["silence"]["pauc"] == pytest.approx(0.25)
    assert list(found)[:3] == ["pauc", "false_per_quiet_minute", "repeat_rate"]
    assert "PAUC does not punish" in out
    answered = [line for line in utterances_of(tmp_path / "out") if line["query"]]
    assert [line["time"] for line in answered] == [0.0] * len(SEEDS)  # asked at 0 s, and the stream runs on
    assert found["frames"] == len(SEEDS) * SECONDS * 2


def test_a_window_of_four_frames_is_run_on_a_benchmark(evaluate, exported, tmp_path):
    arguments = [exported / "anno.json", "--videos", exported / "videos", "--limit", 1, "--window", 4]
    assert evaluate("proactivevideoqa", *arguments, "--output", tmp_path / "out")[0] == 0
    found = metrics_of(tmp_path / "out")
    assert found["settings"]["window"] == 4 and found["frames"] == SECONDS * 2


def test_subtitles_are_not_asked_and_a_missing_video_is_listed(evaluate, exported, tmp_path):
    entry = json.loads((exported / "anno.json").read_text())[0]
    entry["conversation"].append({"role": "user", "content": "Subtitle: (House:) No.", "time": 3.2})
    lost = entry | {"video": "lost.mp4", "question_id": "lost"}
    escaping = entry | {"video": "../videos/tabletop-9020.mp4", "question_id": "escaping"}
    path = write(tmp_path / "anno.json", [entry, lost, escaping])
    code, out, said = evaluate("proactivevideoqa", path, "--videos", exported / "videos", "--output", tmp_path / "out")
    assert code == 0 and "lost.mp4 is not in" in said and "1 subtitles were not read" in out
    assert list(metrics_of(tmp_path / "out")["missing"]) == ["2 lost", "3 escaping"]
    assert sum(line["query"] is not None for line in utterances_of(tmp_path / "out")) == 1


@pytest.mark.slow
def test_a_video_that_breaks_off_is_listed_and_tried_again_by_the_next_run(evaluate, exported, tmp_path):
    entries = json.loads((exported / "anno.json").read_text())[:2]
    videos = tmp_path / "videos"
    videos.mkdir()
    whole = (exported / "videos" / entries[0]["video"]).read_bytes()
    (videos / entries[0]["video"]).write_bytes(b"no video")
    (videos / entries[1]["video"]).symlink_to(exported / "videos" / entries[1]["video"])
    arguments = ["proactivevideoqa", write(tmp_path / "anno.json", entries), "--videos", videos]
    code, _, said = evaluate(*arguments, "--output", tmp_path / "out")
    assert code == 1 and "cannot be read as a video" in said
    assert len(metrics_of(tmp_path / "out")["items"]) == 1
    (videos / entries[0]["video"]).write_bytes(whole)
    assert evaluate(*arguments, "--output", tmp_path / "out")[0] == 0
    assert len(metrics_of(tmp_path / "out")["items"]) == 2 and not metrics_of(tmp_path / "out")["missing"]


def clock(seconds):
    return f"00:00:{seconds:02}"


@pytest.fixture
def proactive_output(exported, tmp_path):
    """One question per video: two seconds before an event that comes late enough, about the event."""
    entries = []
    for seed in SEEDS:
        event = next(event for event in Tabletop(seed, SECONDS).events if event.onset >= 4.0)
        question = {
            "question": "Tell me what happens.",
            "time_stamp": clock(int(event.onset) - 3),
            "ground_truth_time_stamp": clock(round(event.time)),
            "ground_truth_output": event.item.shape,
        }
        entries.append({"time": "[0:00:00 - 0:00:20]", "video_path": f"./videos/tabletop-{seed}.mp4"})
        entries[-1]["questions"] = [question]
    return write(tmp_path / "questions_proactive.json", entries)


def test_streamingbench_asks_in_the_stream_and_takes_the_first_reply_after_it(
    evaluate, exported, proactive_output, tmp_path
):
    arguments = [proactive_output, "--videos", exported, "--seconds-before", 80, "--output", tmp_path / "out"]
    code, _, said = evaluate("streamingbench-proactive", *arguments)
    assert code == 0, said
    found = metrics_of(tmp_path / "out")
    assert found["settings"]["seconds_before"] == 80.0
    rows = [row.split(",") for row in (tmp_path / "out" / "decisions.csv").read_text().splitlines()[1:]]
    assert {row[0] for row in rows if float(row[1]) == 0.0} == {row[0] for row in rows}  # all begin before the question
    assert found["replied"] == 1.0 and found["time_accuracy"] >= found["answer_accuracy"] > 0.6
    assert found["baselines"]["silence"]["time_accuracy"] == 0.0
    first = json.loads(proactive_output.read_text())[0]["questions"][0]
    asked = next(line for line in utterances_of(tmp_path / "out") if line["query"])
    assert float(asked["stamp"]) == pytest.approx(parse_seconds(first["time_stamp"]), abs=0.11)


def test_streamingbench_begins_with_the_question_as_the_public_code_does(
    evaluate, exported, proactive_output, tmp_path
):
    arguments = [proactive_output, "--videos", exported, "--limit", 1, "--output", tmp_path / "out"]
    code, _, said = evaluate("streamingbench-proactive", *arguments)
    assert code == 0, said
    first = json.loads(proactive_output.read_text())[0]["questions"][0]
    stamps = [float(row.split(",")[1]) for row in (tmp_path / "out" / "decisions.csv").read_text().splitlines()[1:]]
    assert stamps[0] == pytest.approx(parse_seconds(first["time_stamp"]), abs=0.11)
    code, _, said = evaluate("streamingbench-proactive", *arguments, "--seconds-before", -1)
    assert code == 2 and "a number of seconds from 0" in said


@pytest.mark.parametrize(
    ("time", "text", "in_time", "right"),
    [
        (8.0, "3", 1, 1),
        (8.0, "It is 3.", 1, 1),
        (8.0, "It is 4.", 1, 0),
        (7.9, "3", 0, 0),
        (12.1, "3", 0, 0),
        (None, "", 0, 0),
    ],
)
def test_a_reply_counts_within_two_seconds_and_with_the_text_in_it(time, text, in_time, right):
    from videollm_ros.evaluation.benchmarks.streamingbench import _count, _Task

    task = _Task(2.0, 10.0, "3", AnnotatedQuery(2.0, "?"))
    parts = _count(task, time, text)
    assert (parts["time_accuracy"][0], parts["answer_accuracy"][0]) == (in_time, right)


def test_what_is_said_within_a_second_of_the_question_is_no_reply_and_the_first_later_one_is():
    from videollm_ros.evaluation.benchmarks.streamingbench import _reply, _Task

    task = _Task(2.0, 10.0, "3", AnnotatedQuery(2.0, "?"))
    said = [Said(round(time * 1e9), time, text) for time, text in ((2.0, "yes"), (3.0, "early"), (10.0, "3"))]
    assert _reply(task, Transcript("t", utterances=said)) == (3.0, "early")
    assert _reply(task, Transcript("t", utterances=[Said(15 * 10**9, 15.0, "late")])) == (None, "")


OVO = [
    {"id": 0, "task": "EPM", "realtime": 8.3, "question": "What was there?", "options": ["a cup", "a ball"], "gt": 1},
    {"id": 1, "task": "OCR", "realtime": 19.9, "question": "What is there?", "options": ["a cup", "a ball"], "gt": 0},
    {
        "id": 2,
        "task": "REC",
        "activity": "pick up",
        "test_info": [{"realtime": 12, "count": 2}, {"realtime": 4, "count": 1}],
    },
    {
        "id": 3,
        "task": "SSR",
        "test_info": [{"realtime": 4, "step": "put", "type": 0}, {"realtime": 9, "step": "put", "type": 1}],
    },
    {
        "id": 4,
        "task": "CRR",
        "question": "What is it?",
        "ask_time": 3,
        "clue_time": 6,
        "test_info": [{"realtime": 3, "type": 0}, {"realtime": 7, "type": 1}],
    },
]


@pytest.mark.slow
def test_ovo_bench_asks_every_question_at_its_time_and_watches_on(evaluate, exported, tmp_path):
    path = write(tmp_path / "ovo.json", [entry | {"video": f"a/tabletop-{SEEDS[0]}.mp4"} for entry in OVO])
    arguments = [path, "--videos", exported / "videos", "--output", tmp_path / "out"]
    code, _, said = evaluate("ovo-bench", *arguments)
    assert code == 0, said
    found = metrics_of(tmp_path / "out")
    asked = [(line["item"], line["time"]) for line in utterances_of(tmp_path / "out") if line["query"]]
    # Each question is asked after the last frame before it, and the video ends before a frame follows the second.
    assert asked[:2] == [("EPM 0", 8.0), ("OCR 1", 19.5)]
    assert [time for item, time in asked if item == "REC 2"] == [4.0, 12.0]
    rows = [row for row in (tmp_path / "out" / "decisions.csv").read_text().splitlines() if row.startswith("EPM 0")]
    assert float(rows[-1].split(",")[2]) == 10.0  # two seconds after the question
    assert {"backward_accuracy", "realtime_accuracy", "forward_accuracy", "total_accuracy"} <= set(found)
    most = found["baselines"]["the most frequent answer"]
    assert most["backward_accuracy"] == most["realtime_accuracy"] == 1.0
    assert most["forward_accuracy"] == pytest.approx(0.5)
    assert most["total_accuracy"] == pytest.approx((1 + 1 + 0.5) / 3)


@pytest.mark.parametrize("window", [0, 4])
@pytest.mark.parametrize(("time", "answered"), [(19.3, 19.0), (19.8, 19.5), (25.0, 19.5)])
def test_a_question_near_the_end_is_asked_after_the_last_frame_before_it(demo_model, exported, window, time, answered):
    questions = VideoQuestions(exported / "videos", AssistantSettings(), window)
    query = AnnotatedQuery(time, "What is on the table?")
    transcript = questions.watch(demo_model, "v", f"tabletop-{SEEDS[0]}.mp4", [query], begin=16.0).transcript
    assert transcript.decisions[-1].time == 3.5
    assert [said.time + 16 for said in transcript.utterances if said.query] == [answered]
    assert not transcript.notes


@pytest.mark.parametrize(
    ("task", "answer", "reply", "public", "strict"),
    [
        ("EPM", "B", "B", True, True),
        ("EPM", "B", "The answer is B.", True, True),
        ("EPM", "A", "B. A cup", True, False),  # the public code looks for the letter anywhere
        ("REC", "2", "2 times", True, True),
        ("REC", "2", "2 or 3", False, True),
        ("REC", "23", "2 or 3", True, False),
        ("SSR", "No", "No.", True, True),
        ("SSR", "No", "N", True, False),
        ("CRR", "Yes", "Not yet. Yes", True, True),
        ("CRR", "Yes", "", False, False),
    ],
)
def test_answers_are_right_as_the_public_code_counts_and_strictly(task, answer, reply, public, strict):
    question = Question(task, 0.0, "?", answer)
    assert (question.is_right(reply), question.is_strictly_right(reply)) == (public, strict)


def test_forward_questions_are_in_the_order_of_their_times():
    assert [(q.time, q.answer) for q in questions_of(Fields("ovo.json: entry 3", OVO[2]))] == [(4.0, "1"), (12.0, "2")]


def test_answers_to_one_text_asked_twice_keep_their_order():
    queries = [AnnotatedQuery(9.0, "What?"), AnnotatedQuery(1.0, "What?"), AnnotatedQuery(20.0, "Unheard")]
    said = [Said(0, 1.0, "first", "What?"), Said(0, 5.0, "by itself"), Said(0, 9.0, "second", "What?")]
    assert answers(Transcript("t", utterances=said), queries) == ["second", "first", ""]


@pytest.mark.parametrize("content", ["{", "{}", "[1]", '[{"task": "EPM"}]'])
@pytest.mark.parametrize("command", ["ovo-bench", "proactivevideoqa", "streamingbench-proactive"])
def test_a_file_of_another_form_is_refused_with_a_sentence(evaluate, tmp_path, command, content):
    path = tmp_path / "annotations.json"
    path.write_text(content)
    code, _, said = evaluate(command, path, "--videos", tmp_path, "--output", tmp_path / "out")
    assert code == 2 and str(path) in said and said.count("\n") == 1


PROACTIVE = {
    "video": "tabletop-9020.mp4",
    "question_id": "one",
    "conversation": [{"role": "user", "content": "Tell me.", "time": 0}],
    "answer": [{"content": "A cup.", "reply_timespan": [2, 4]}],
}
STREAMING = {
    "video_path": "tabletop-9020.mp4",
    "questions": [
        {
            "question": "Say red.",
            "time_stamp": "00:00:05",
            "ground_truth_time_stamp": "00:00:09",
            "ground_truth_output": "red",
        }
    ],
}
WRONG = [
    ("proactivevideoqa", PROACTIVE, ["video"], None),
    ("proactivevideoqa", PROACTIVE, ["question_id"], "q\ud83d"),
    ("proactivevideoqa", PROACTIVE, ["conversation"], {}),
    ("proactivevideoqa", PROACTIVE, ["conversation", 0, "content"], None),
    ("proactivevideoqa", PROACTIVE, ["conversation", 0, "time"], float("nan")),
    ("proactivevideoqa", PROACTIVE, ["conversation", 0, "time"], -1),
    ("proactivevideoqa", PROACTIVE, ["answer", 0], "A cup."),
    ("proactivevideoqa", PROACTIVE, ["answer", 0, "content"], None),
    ("proactivevideoqa", PROACTIVE, ["answer", 0, "reply_timespan"], [9, 5]),
    ("proactivevideoqa", PROACTIVE, ["answer", 0, "reply_timespan"], [2, float("inf")]),
    ("proactivevideoqa", PROACTIVE, ["answer", 0, "reply_timespan"], [2]),
    ("streamingbench-proactive", STREAMING, ["video_path"], ["a"]),
    ("streamingbench-proactive", STREAMING, ["questions", 0, "question"], None),
    ("streamingbench-proactive", STREAMING, ["questions", 0, "time_stamp"], "-00:01:00"),
    ("streamingbench-proactive", STREAMING, ["questions", 0, "time_stamp"], "nan"),
    ("ovo-bench", OVO[0] | {"video": "v.mp4"}, ["gt"], 7),
    ("ovo-bench", OVO[0] | {"video": "v.mp4"}, ["options"], "ab"),
    ("ovo-bench", OVO[0] | {"video": "v.mp4"}, ["task"], []),
    ("ovo-bench", OVO[2] | {"video": "v.mp4"}, ["test_info"], []),
    ("ovo-bench", OVO[2] | {"video": "v.mp4"}, ["test_info", 0, "realtime"], float("nan")),
    ("ovo-bench", OVO[2] | {"video": "v.mp4"}, ["test_info", 0, "count"], 1.5),
    ("ovo-bench", OVO[3] | {"video": "v.mp4"}, ["test_info", 0, "type"], "no"),
]


@pytest.mark.parametrize(("command", "entry", "keys", "value"), WRONG)
def test_a_value_of_another_type_is_named_with_its_entry_and_nothing_is_run(
    evaluate, exported, tmp_path, command, entry, keys, value
):
    changed = json.loads(json.dumps(entry))
    place = changed
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    path = write(tmp_path / "annotations.json", [entry, changed])
    code, _, said = evaluate(command, path, "--videos", exported / "videos", "--output", tmp_path / "out")
    assert code == 2 and f"{path}: entry 2" in said and said.count("\n") == 1, said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (90, 90.0),
        ("90.5", 90.5),
        ("1:30", 90.0),
        ("01:01:30", 3690.0),
        ("-00:01:00", None),
        ("1:2:3:4", None),
        ("", None),
        ("inf", None),
        (True, None),
        (None, None),
        (10**400, None),
    ],
)
def test_a_time_is_a_number_or_a_clock_and_never_negative(written, seconds):
    assert parse_seconds(written) == seconds


def test_a_figure_that_is_not_finite_is_never_written(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_metrics({"pauc": float("nan")}, tmp_path)
    assert not list(tmp_path.iterdir())


def test_two_entries_of_one_id_are_refused(evaluate, exported, tmp_path):
    path = write(tmp_path / "ovo.json", [OVO[0] | {"video": "tabletop-9020.mp4"}] * 2)
    code, _, said = evaluate("ovo-bench", path, "--videos", exported / "videos", "--output", tmp_path / "out")
    assert code == 2 and "several items of the id 'EPM 0'" in said
