# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An online video LLM for ROS 2: it watches a camera topic, speaks by itself and answers when asked."""

from pkgutil import extend_path

# A ROS build installs `videollm_ros.msg`, `.srv` and `.action` in another folder than a source checkout.
# Joining the folders lets both import, whichever comes first on the path.
__path__ = extend_path(__path__, __name__)

__version__ = "0.1.0"
