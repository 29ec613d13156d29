# SPDX-License-Identifier: MIT
# What is made with llama.cpp: evictlab_engine, the adapter; libevictlab_llama, its C interface; evictlab-llama.
file(GLOB engine_sources CONFIGURE_DEPENDS engine/*.cpp)
add_library(evictlab_engine STATIC ${engine_sources})
target_include_directories(evictlab_engine PUBLIC ${PROJECT_SOURCE_DIR} ${UTF8PROC_INCLUDE_DIR})
target_link_libraries(evictlab_engine PUBLIC evictlab_library evictlab_framework llama
  PRIVATE ${UTF8PROC_LIBRARY} TBB::tbb evictlab_warnings)

add_library(evictlab_llama_library SHARED engine/library/evictlab_llama.cpp)
set_target_properties(evictlab_llama_library PROPERTIES OUTPUT_NAME evictlab_llama EXPORT_NAME llama
  VERSION ${PROJECT_VERSION} SOVERSION 0 LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib
  CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
target_include_directories(evictlab_llama_library PUBLIC
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/engine/include> $<INSTALL_INTERFACE:include>)
target_link_libraries(evictlab_llama_library PUBLIC evictlab_library llama PRIVATE evictlab_engine evictlab_warnings)
target_link_options(evictlab_llama_library PRIVATE -Wl,--exclude-libs,ALL)
add_dependencies(product evictlab_llama_library)

file(GLOB program_sources CONFIGURE_DEPENDS engine/program/*.cpp)
list(REMOVE_ITEM program_sources ${PROJECT_SOURCE_DIR}/engine/program/main.cpp)
add_library(evictlab_llama_program STATIC ${program_sources}) # all but main(), for the tests
target_link_libraries(evictlab_llama_program PUBLIC evictlab_cli evictlab_engine PRIVATE evictlab_warnings)
add_executable(evictlab-llama engine/program/main.cpp)
target_link_libraries(evictlab-llama PRIVATE evictlab_llama_program evictlab_warnings)
add_dependencies(product evictlab-llama)
