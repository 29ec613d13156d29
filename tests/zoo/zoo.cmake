# SPDX-License-Identifier: MIT
# An animal is one file: tests/zoo/NAME.c or .cpp becomes build/tests/zoo/NAME.so; those in filtered/, which nothing but
# the filter of system calls holds, become build/tests/zoo/filtered/NAME.so.
foreach(cage "" filtered/)
  file(GLOB animals CONFIGURE_DEPENDS zoo/${cage}*.c zoo/${cage}*.cpp)
  foreach(source IN LISTS animals)
    get_filename_component(name ${source} NAME_WE)
    evictlab_add_scorer(zoo_${name} ${source})
    target_link_libraries(zoo_${name} PRIVATE evictlab_warnings Threads::Threads)
    set_target_properties(zoo_${name} PROPERTIES
      OUTPUT_NAME ${name} LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests/zoo/${cage})
    add_dependencies(test_zoo zoo_${name})
  endforeach()
endforeach()
target_compile_definitions(test_zoo PRIVATE EVICTLAB_ZOO="${PROJECT_BINARY_DIR}/tests/zoo")
