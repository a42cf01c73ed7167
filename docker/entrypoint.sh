#!/bin/bash
# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
#
# Runs a command in an environment with ROS 2, this package and its Python packages.
set -e
source /opt/venv/bin/activate
source /opt/ros/jazzy/setup.bash
source /opt/videollm_ros/setup.bash
exec "$@"
