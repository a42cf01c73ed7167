# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
#
# source ./activate.sh (bash or zsh, from any folder): the Python environment, ROS 2 and this package in one shell.

if [ -n "${ZSH_VERSION:-}" ]; then
  _videollm_root=${${(%):-%x}:A:h}
else
  _videollm_root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
fi

if [ ! -e "$_videollm_root/build/interfaces-built" ]; then
  echo "activate.sh: there is nothing to activate yet: call make setup in $_videollm_root first." >&2
  unset _videollm_root
  return 1
fi
if [ ! -e "$_videollm_root/.venv/made-for-${ROS_DISTRO:-wheels}" ]; then
  echo "activate.sh: $_videollm_root/.venv was not made for ROS 2 from ${ROS_DISTRO:-wheels}, which this shell has:" \
    "use a matching shell, or call make clean setup." >&2
  unset _videollm_root
  return 1
fi

. "$_videollm_root/.venv/bin/activate"
if [ -z "${ROS_DISTRO:-}" ]; then
  # The wheels make the environment itself a ROS 2 prefix.
  export AMENT_PREFIX_PATH=$VIRTUAL_ENV
fi
. "$_videollm_root/install/local_setup.sh"
# The source tree first: a new module needs no build. Its __init__.py adds the generated messages.
case ":$PYTHONPATH:" in
  *":$_videollm_root:"*) ;;
  *) export PYTHONPATH=$_videollm_root:$PYTHONPATH ;;
esac

# The commands that pip installs.
videollm-evaluate() { python -m videollm_ros.evaluation "$@"; }
videollm-data() { python -m videollm_ros.data "$@"; }
videollm-train() { python -m videollm_ros.training "$@"; }

unset _videollm_root
