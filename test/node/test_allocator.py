# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What was freed goes back to the system, whichever thread had it."""

import os
import platform
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

pytest.importorskip("rclpy", reason="there is no ROS 2 here")

from videollm_ros.node.allocator import MAX_ARENAS
from videollm_ros.node.model_memory import give_memory_back, keep_out_of_collections

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library has no arenas"),
]

ARENAS = """
import ctypes, re, threading
from videollm_ros.node.run_node import run_node

def arenas():
    libc = ctypes.CDLL(None)
    libc.fopen.restype = ctypes.c_void_p
    file = ctypes.c_void_p(libc.fopen(b"arenas.xml", b"w"))
    libc.malloc_info(0, file)
    libc.fclose(file)
    return len(re.findall("<heap nr=", open("arenas.xml").read()))

def run_threads():
    meeting = threading.Barrier(12)
    def allocate():
        meeting.wait()  # all are there at once, as the threads of an executor are
        ctypes.CDLL(None).malloc(10000)
        meeting.wait()
    threads = [threading.Thread(target=allocate) for _ in range(12)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    print(arenas())
    raise ValueError("that is all")

print(arenas())  # which the imports have made
run_node("counting", run_threads, ["program"])
"""


def resident():
    """Return the resident MiB of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def output_of(program, folder, **environment):
    """Run a program in a process of its own, because an arena stays as long as its process. Returns its numbers."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    command, environment = [sys.executable, "-c", program], clean | environment
    done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, check=True, timeout=120)
    return [int(each) for each in done.stdout.split()]


def test_the_threads_of_a_node_share_few_arenas(tmp_path):
    before, after = output_of(ARENAS, tmp_path)
    assert after <= max(before, MAX_ARENAS)


@pytest.mark.parametrize("choice", [{"MALLOC_ARENA_MAX": "5"}, {"GLIBC_TUNABLES": "glibc.malloc.arena_max=5"}])
def test_the_environment_chooses_another_number_of_arenas(choice, tmp_path):
    assert output_of(ARENAS, tmp_path, **choice)[1] == 5


@pytest.mark.parametrize("giving", [keep_out_of_collections, give_memory_back])
def test_what_another_thread_freed_between_things_that_stay_goes_back(giving):
    kept = []

    def load_and_free():
        weights = []
        for _ in range(800):
            weights.append(torch.ones(25_000))  # less than what malloc takes from the system by itself
            kept.append(torch.ones(500))  # which parts what is free afterwards

    thread = threading.Thread(target=load_and_free)
    thread.start()
    thread.join()
    before = resident()
    giving()
    assert before - resident() > 30  # MiB, of 76; the rest may have gone into pages that were free already
