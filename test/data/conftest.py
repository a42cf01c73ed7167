# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Indexes of dialogue files are kept in a folder of the test's own."""

import pytest


@pytest.fixture(autouse=True)
def cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "videollm_ros" / "dialogues"
