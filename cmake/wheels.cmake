# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
#
# Lets this package build against the ROS 2 wheels in .venv. Given by the Makefile as
# -DCMAKE_PROJECT_videollm_ros_INCLUDE=<this file>, so that CMakeLists.txt stays an ordinary one.

# The exported targets of the message wheels name include folders of the machine that built them, and CMake
# refuses a target with a folder that does not exist.
function(videollm_drop_missing_include_folders target)
  get_target_property(folders ${target} INTERFACE_INCLUDE_DIRECTORIES)
  if(folders)
    set(existing "")
    foreach(folder IN LISTS folders)
      # A generator expression is only known later: keep it.
      if(folder MATCHES "\\$<" OR EXISTS "${folder}")
        list(APPEND existing "${folder}")
      endif()
    endforeach()
    set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${existing}")
  endif()
endfunction()

# The generated Python extension uses numpy's headers, which are in .venv, and CMake refuses to export a target
# that uses a folder below the source folder: say that it is needed for building alone.
function(videollm_keep_source_folders_private target)
  get_target_property(folders ${target} INTERFACE_INCLUDE_DIRECTORIES)
  if(folders)
    set(private "")
    foreach(folder IN LISTS folders)
      cmake_path(IS_PREFIX CMAKE_CURRENT_SOURCE_DIR "${folder}" below_source)
      if(below_source)
        list(APPEND private "$<BUILD_INTERFACE:${folder}>")
      else()
        list(APPEND private "${folder}")
      endif()
    endforeach()
    set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${private}")
  endif()
endfunction()

function(videollm_mend_targets)
  get_directory_property(imported IMPORTED_TARGETS)
  foreach(target IN LISTS imported)
    videollm_drop_missing_include_folders(${target})
  endforeach()
  get_directory_property(own BUILDSYSTEM_TARGETS)
  foreach(target IN LISTS own)
    get_target_property(type ${target} TYPE)
    if(type MATCHES "LIBRARY$")
      videollm_keep_source_folders_private(${target})
    endif()
  endforeach()
endfunction()

# At the end of the top folder: every target is known by then, and nothing has been generated yet.
cmake_language(DEFER CALL videollm_mend_targets)
