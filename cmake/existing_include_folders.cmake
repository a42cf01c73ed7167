# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
#
# Lets this package build against the ROS 2 wheels. The exported targets of the message wheels name include
# folders of the machine that built them, and CMake refuses a target with a folder that does not exist.
# Given as -DCMAKE_PROJECT_videollm_ros_INCLUDE=<this file>, so that CMakeLists.txt stays an ordinary one.

function(videollm_drop_missing_include_folders)
  get_directory_property(targets IMPORTED_TARGETS)
  foreach(target IN LISTS targets)
    get_target_property(folders ${target} INTERFACE_INCLUDE_DIRECTORIES)
    if(NOT folders)
      continue()
    endif()
    set(existing "")
    foreach(folder IN LISTS folders)
      # A generator expression is only known later: keep it.
      if(folder MATCHES "\\$<" OR EXISTS "${folder}")
        list(APPEND existing "${folder}")
      endif()
    endforeach()
    set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${existing}")
  endforeach()
endfunction()

# At the end of the top folder: every find_package has run by then, and nothing has been generated yet.
cmake_language(DEFER CALL videollm_drop_missing_include_folders)
