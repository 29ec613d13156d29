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

# Installed as a component. The llama.cpp that scripts/llama built goes with it, so that the prefix can be moved; one of
# somebody else's stays where it is. The build folder has it at the same place, for find_package.
set(llama_place lib/evictlab/llama)
get_filename_component(llama_prefix ${LLAMA_LIB_DIR} DIRECTORY)
file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/lib/evictlab)
file(CREATE_LINK ${llama_prefix} ${PROJECT_BINARY_DIR}/${llama_place} SYMBOLIC)
string(FIND ${llama_prefix} ${PROJECT_SOURCE_DIR}/build/llama llama_is_ours)
if(llama_is_ours EQUAL 0)
  install(DIRECTORY ${llama_prefix}/ DESTINATION ${llama_place} COMPONENT llama PATTERN pkgconfig EXCLUDE)
  set(llama_of_library "\$ORIGIN/evictlab/llama/lib")
  set(llama_of_program "\$ORIGIN/../${llama_place}/lib")
  set(llama_flags "-I\${prefix}/${llama_place}/include")
  set(llama_libraries "-L\${prefix}/${llama_place}/lib -lllama -lggml -lggml-base")
  set(llama_package "")
else()
  set(llama_of_library ${LLAMA_LIB_DIR})
  set(llama_of_program ${LLAMA_LIB_DIR})
  set(llama_package " llama")
endif()
set_target_properties(evictlab_llama_library PROPERTIES INSTALL_RPATH "\$ORIGIN;${llama_of_library}")
set_target_properties(evictlab-llama PROPERTIES INSTALL_RPATH "\$ORIGIN/../lib;${llama_of_program}")
set(package_folder lib/cmake/evictlab)
install(TARGETS evictlab-llama RUNTIME DESTINATION bin COMPONENT llama)
install(DIRECTORY engine/include/evictlab DESTINATION include COMPONENT llama)
install(DIRECTORY engine/example/ DESTINATION share/doc/evictlab/llama_example COMPONENT llama)
install(TARGETS evictlab_llama_library EXPORT evictlabLlamaTargets LIBRARY DESTINATION lib COMPONENT llama)
install(EXPORT evictlabLlamaTargets NAMESPACE evictlab:: DESTINATION ${package_folder} COMPONENT llama)
export(EXPORT evictlabLlamaTargets NAMESPACE evictlab:: FILE ${PROJECT_BINARY_DIR}/${package_folder}/evictlabLlamaTargets.cmake)
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/${package_folder}/evictlab-llama.pc @ONLY CONTENT
"prefix=\${pcfiledir}/../..

Name: evictlab-llama
Description: evicts tokens from the KV cache of llama.cpp by any of Evictlab's scorers
Version: ${PROJECT_VERSION}
Requires: evictlab${llama_package}
Cflags: -I\${prefix}/include ${llama_flags}
Libs: -L\${prefix}/lib -levictlab_llama ${llama_libraries}
")
install(FILES ${PROJECT_BINARY_DIR}/${package_folder}/evictlab-llama.pc DESTINATION lib/pkgconfig COMPONENT llama)
