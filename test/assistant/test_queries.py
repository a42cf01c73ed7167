# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Queries are admitted while there are few enough, refused with a sentence otherwise, and counted."""

import pytest

from videollm_ros.assistant.queries import MAX_CHARACTERS, MAX_ID_CHARACTERS, QueryAdmission, QueryError


@pytest.mark.parametrize(
    ("text", "query_id", "sentence"),
    [
        ("", "", "is empty"),
        ("  \n", "", "is empty"),
        ("x" * (MAX_CHARACTERS + 1), "", "has 2001 characters"),
        ("What is it?", "x" * (MAX_ID_CHARACTERS + 1), "query_id has 201 characters"),
    ],
)
def test_a_query_that_is_no_query_is_refused(text, query_id, sentence):
    admission = QueryAdmission()
    with pytest.raises(QueryError, match=sentence):
        admission.admit(text, query_id)
    assert (admission.refused, admission.outstanding) == (1, 0)


def test_an_outcome_makes_room_for_the_next_query():
    admission = QueryAdmission(limit=2)
    first, second = admission.admit("One?"), admission.admit("Two?")
    with pytest.raises(QueryError, match="2 queries are waiting already"):
        admission.admit("Three?")
    first.resolve("an update")
    second.fail("The stream was reset.")
    admission.admit("Three?")
    assert (admission.answered, admission.failed, admission.refused, admission.outstanding) == (1, 1, 1, 1)


def test_a_query_has_one_outcome():
    query = QueryAdmission().admit("One?")
    query.resolve("an update")
    query.fail("too late")
    assert query.answer.result() == "an update"


def test_request_ids_are_unique_though_askers_use_the_same_name():
    admission = QueryAdmission()
    assert len({admission.admit("One?", "mine").request_id for _ in range(8)}) == 8
