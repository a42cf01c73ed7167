#!/bin/sh
# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
#
# Usage: check_machine.sh PYTHON
# Names what make setup needs and this machine lacks, with the Debian or Ubuntu package that brings it.

python=${1:-python3}
missing=

need() {  # need WHAT PACKAGES: remember that WHAT is missing
  echo "setup: $1 is missing: install $2." >&2
  missing="$missing $2"
}

if ! command -v "$python" >/dev/null 2>&1; then
  need "$python" "python3-venv python3-dev"
else
  version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  case $version in
    3.1[0-3]) ;;
    *)
      echo "setup: $python is Python $version, and videollm_ros needs 3.10, 3.11, 3.12 or 3.13:" \
        "name one of them, as in make setup PYTHON=python3.12." >&2
      exit 1 ;;
  esac
  "$python" -c 'import ensurepip, venv' 2>/dev/null || need "Python's venv module" "python$version-venv"
  header=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h
  [ -f "$header" ] || need "Python's C header $header" "python$version-dev"
  if [ -n "$ROS_DISTRO" ]; then
    if ! "$python" -c 'import rclpy' 2>/dev/null; then
      echo "setup: ROS 2 $ROS_DISTRO is sourced, but $(command -v "$python") cannot import its rclpy:" \
        "name the Python that it was built for, as in make setup PYTHON=/usr/bin/python3." >&2
      exit 1
    fi
    "$python" -c 'import cv2' 2>/dev/null || need OpenCV python3-opencv
  fi
fi
command -v cmake >/dev/null 2>&1 || need cmake cmake
command -v "${CC:-cc}" >/dev/null 2>&1 || need "a C compiler (${CC:-cc})" gcc
command -v "${CXX:-c++}" >/dev/null 2>&1 || need "a C++ compiler (${CXX:-c++})" g++

if [ -n "$ROS_DISTRO" ]; then
  command -v colcon >/dev/null 2>&1 || need colcon python3-colcon-common-extensions
elif [ "$(uname -s)-$(uname -m)" != Linux-x86_64 ]; then
  echo "setup: no ROS 2 is sourced, and its wheels exist for x86-64 Linux only, not for" \
    "$(uname -s) on $(uname -m): install ROS 2 Jazzy and source its setup.bash first." >&2
  exit 1
fi

if [ -n "$missing" ]; then
  echo "setup: nothing was changed. Install what is missing and call make again:" >&2
  echo "    sudo apt-get install$missing" >&2
  exit 1
fi
