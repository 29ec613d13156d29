# SPDX-License-Identifier: MIT
# An animal is one file: tests/zoo/NAME.c or .cpp becomes build/tests/zoo/NAME.so. Those in filtered/ are held by nothing
# but the filter of system calls; those in careless/ harm nobody, and `evictlab check` tells them what is wrong; that in long_run/ is for speed/long_run.
foreach(cage "" filtered/ careless/ long_run/)
  file(GLOB animals CONFIGURE_DEPENDS zoo/${cage}*.c zoo/${cage}*.cpp)
  foreach(source IN LISTS animals)
    get_filename_component(name ${source} NAME_WE)
    evictlab_add_scorer(zoo_${name} ${source})
    target_link_libraries(zoo_${name} PRIVATE evictlab_warnings Threads::Threads)
    set_target_properties(zoo_${name} PROPERTIES
      OUTPUT_NAME ${name} LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests/zoo/${cage})
    add_dependencies(test_zoo zoo_${name})
    add_dependencies(test_containment zoo_${name})
    add_dependencies(test_check zoo_${name})
  endforeach()
endforeach()
foreach(test test_zoo test_check test_containment)
  target_compile_definitions(${test} PRIVATE EVICTLAB_ZOO="${PROJECT_BINARY_DIR}/tests/zoo")
endforeach()
