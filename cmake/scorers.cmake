# SPDX-License-Identifier: MIT
# evictlab_add_scorer(NAME SOURCE...): a scorer plugin NAME.so, for this project and for those that find_package it.
# The flags change no result: they let the compiler vectorise loops, and keep the same formula at the same bits on every
# processor (no contraction into fused multiply-add).
function(evictlab_add_scorer name)
  add_library(${name} MODULE ${ARGN})
  set_target_properties(${name} PROPERTIES PREFIX "" CXX_VISIBILITY_PRESET hidden C_VISIBILITY_PRESET hidden)
  if(CMAKE_CXX_COMPILER_LOADED)
    target_compile_features(${name} PRIVATE cxx_std_20)
  endif()
  target_compile_options(${name} PRIVATE -ffp-contract=off -fno-trapping-math -fno-math-errno)
  if(TARGET evictlab_sdk)
    target_link_libraries(${name} PRIVATE evictlab_sdk)
    set_target_properties(${name} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/plugins)
  else()
    target_link_libraries(${name} PRIVATE evictlab::sdk)
  endif()
endfunction()
