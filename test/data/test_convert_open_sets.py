# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Each field map reads a tiny sample in its set's own layout."""

import json

import pytest

from videollm_ros.data.convert.fields import load_map, map_names

JSON_SAMPLES = {
    "holoassist": (
        "data-annotation-trainval-v1_1.json",
        [
            {
                "video_name": "a",
                "events": [
                    {
                        "label": "Conversation",
                        "start": 1.2,
                        "end": 2.0,
                        "attributes": {
                            "Conversation Purpose": "instructor-start-conversation_other",
                            "Transcription": "open the lid",
                        },
                    },
                    {
                        "label": "Conversation",
                        "start": 3.0,
                        "end": 3.5,
                        "attributes": {"Conversation Purpose": "student-start_question", "Transcription": "This one?"},
                    },
                    {"label": "Fine grained action", "start": 4, "end": 5, "attributes": {"Verb": "open"}},
                ],
            }
        ],
        ["4", "Open the lid.", "3", "> This one?", "14"],
    ),
    "holoassist-actions": (
        "data-annotation-trainval-v1_1.json",
        [
            {
                "video_name": "a",
                "events": [
                    {
                        "label": "Fine grained action",
                        "start": 4,
                        "end": 5,
                        "attributes": {"Action sentence": "The student opens the lid."},
                    },
                    {"label": "Narration", "start": 0, "end": 9, "attributes": {}},
                ],
            }
        ],
        ["9", "The student opens the lid.", "12"],
    ),
    "egoexo4d-atomic": (
        "atomic_descriptions_train.json",
        {
            "annotations": {
                "a": [
                    {
                        "annotation_uid": "u1",
                        "descriptions": [
                            {"timestamp": 1.2, "text": "C lifts the pan.", "subject": "C", "unsure": False},
                            {"timestamp": 2.2, "text": "C may look.", "subject": "C", "unsure": True},
                        ],
                    }
                ]
            }
        },
        ["4", "C lifts the pan.", "17"],
    ),
    "egoexo4d-keystep": (
        "keystep_train.json",
        {
            "annotations": {
                "a": {
                    "segments": [
                        {"start_time": 1, "end_time": 2, "step_name": "Crack", "step_description": "Crack the egg"},
                        {"start_time": 3, "end_time": 4, "step_name": "Stir it"},
                    ]
                }
            }
        },
        ["3", "Crack the egg.", "4", "Stir it.", "14"],
    ),
    "goalstep": (
        "goalstep_train.json",
        {
            "videos": [
                {
                    "video_uid": "a",
                    "start_time": 0.5,
                    "goal_description": "Make tea",
                    "segments": [{"start_time": 2.1, "end_time": 6, "step_description": "boil water", "segments": []}],
                }
            ]
        },
        ["6", "Boil water.", "15"],
    ),
    "goalstep-substeps": (
        "goalstep_train.json",
        {
            "videos": [
                {
                    "video_uid": "a",
                    "segments": [
                        {
                            "start_time": 2.1,
                            "end_time": 6,
                            "step_description": "boil water",
                            "segments": [{"start_time": 3.1, "end_time": 4, "step_description": "fill the kettle"}],
                        }
                    ],
                }
            ]
        },
        ["8", "Fill the kettle.", "13"],
    ),
    "proassist": (
        "train_filtered.json",
        [
            {
                "video_uid": "a",
                "conversations": [
                    {
                        "user_type": "talk_some",
                        "conversation": [
                            {"role": "system", "content": "Knowledge", "time": 0.0},
                            {"role": "user", "content": "Help me.", "time": 1.0},
                            {"role": "assistant", "content": "Take the cup.", "time": 1.0},
                        ],
                    }
                ],
            }
        ],
        ["3", "> Help me.", "Take the cup.", "18"],
    ),
    "youcook2": (
        "youcookii_annotations_trainval.json",
        {
            "database": {
                "a": {
                    "duration": 10.0,
                    "subset": "training",
                    "annotations": [{"segment": [2, 4], "id": 0, "sentence": "cut the bread"}],
                },
                "b": {
                    "subset": "validation",
                    "annotations": [{"segment": [1, 2], "id": 0, "sentence": "heat the pan"}],
                },
            }
        },
        ["5", "Cut the bread.", "16"],
    ),
    "activitynet-captions": (
        "train.json",
        {"a": {"duration": 10.0, "timestamps": [[0, 4], [4.6, 9]], "sentences": [" A man waves.", "He leaves"]}},
        ["1", "A man waves.", "10", "He leaves.", "10"],
    ),
}
TABLES = {
    "epic-kitchens-100": (
        "EPIC_100_train.csv",
        "narration_id,participant_id,video_id,narration_timestamp,start_timestamp,stop_timestamp,narration,verb\n"
        "x,P01,a,00:00:01.089,00:00:01.14,00:00:03.37,open door,open\n",
        ["4", "Open door.", "17"],
    ),
    "assembly101": (
        "train.csv",
        "id,video,start_frame,end_frame,action_cls,toy_name\n1,a/HMC_1.mp4,60,75,pick up chassis,a01\n",
        ["5", "Pick up chassis.", "16"],
    ),
    "assembly101-steps": (
        "coarse_labels/assembly_a.txt",
        "60\t90\tattach wheel to chassis\n",
        ["5", "Attach wheel to chassis.", "16"],
    ),
    "assembly101-mistakes": (
        "a.csv",
        "30,60,attach,cabin,chassis,correct,\n75,90,attach,wheel,cabin,mistake,wrong order\n",
        ["7", "That is a mistake: attach wheel to cabin. wrong order.", "14"],
    ),
    "egoexolearn": (
        "fine_annotation_trainval_en.csv",
        "video_uid,view,subset,start_sec,end_sec,narration_en_no_hand_prompt\n"
        "a,ego,train,1.5,2,pour the solution\nb,ego,val,1.5,2,never\n",
        ["4", "Pour the solution.", "17"],
    ),
    "wtag-steps": (
        "a/StepDetection/StepDetection.txt",
        "530000000\t560000000\tplace the tortilla\n",
        ["7", "Place the tortilla.", "14"],
    ),
    "wtag": (
        "a/TextASR/InstructorAnnotations_intent.txt",
        "530000000\t560000000\tnow roll it\tinstruction\n",
        ["5", "> Like this?", "2", "Now roll it.", "14"],
    ),
}


@pytest.fixture
def folder(tmp_path):
    """What stands beside the annotations of some sets."""
    (tmp_path / "train-v1_2.txt").write_text("a\n")
    for name, text in (
        ("a/Video/VideoMpegTiming.txt", "500000000\n600000000\n"),
        ("a/TextASR/UserAnnotations_intent.txt", "520000000\t525000000\tlike this?\tquestion\n"),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.mark.parametrize("source", map_names())
def test_a_sample_of_the_set_becomes_its_dialogue(convert, folder, source):
    if source in JSON_SAMPLES:
        name, content, expected = JSON_SAMPLES[source]
        (folder / name).write_text(json.dumps(content))
    else:
        name, content, expected = TABLES[source]
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    options = ["--split", "train", "--no-instruction"]
    durations = {"a": 10.0, "b": 10.0}
    made = convert(source, folder, durations=durations, options=options)
    assert [line["video"] for line in made.lines] == ["a"], made.said
    assert made.texts() == expected
    assert "Nothing was left out" in made.said
    instructed = convert(source, folder, durations=durations, options=options[:2]).lines[0]["conversation"]
    instruction = load_map(source).instruction
    assert instructed[0] == (
        {"role": "user", "content": instruction, "answer": False}
        if instruction
        else {"role": "stream", "num_frames": 3, "learn": True}
    )


@pytest.mark.parametrize("source", map_names())
def test_a_map_is_a_few_lines_and_says_what_it_reads(source):
    assert len(load_map(source).about) > 10
