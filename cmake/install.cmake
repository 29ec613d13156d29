# SPDX-License-Identifier: MIT
# `cmake --install`: a prefix that can be moved. Nothing in it knows where it lies; the program finds its plugins from its
# own place. The build folder is such a prefix for find_package too, so that plugins can be written without installing.
include(CMakePackageConfigHelpers)

set(package_folder lib/cmake/evictlab)
set(built_in_scorers "")
foreach(source IN LISTS scorer_sources)
  get_filename_component(name ${source} NAME_WE)
  list(APPEND built_in_scorers ${name})
endforeach()

install(TARGETS evictlab evictlab-worker RUNTIME DESTINATION bin)
if(built_in_scorers)
  install(TARGETS ${built_in_scorers} LIBRARY DESTINATION lib/evictlab/plugins)
endif()
install(DIRECTORY framework/include/evictlab capi/include/evictlab DESTINATION include)
install(DIRECTORY suites/ DESTINATION share/evictlab/suites OPTIONAL)
install(DIRECTORY report/schemas/ DESTINATION share/evictlab/schemas)
if(NOT CMAKE_CROSSCOMPILING) # what shells complete, and the manual's page: of the program that was installed
  install(CODE "
    set(prefix \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}\")
    foreach(form bash:bash-completion/completions/evictlab zsh:zsh/site-functions/_evictlab
                 fish:fish/vendor_completions.d/evictlab.fish man:man/man1/evictlab.1)
      string(REGEX REPLACE \":.*\" \"\" of \${form})
      string(REGEX REPLACE \"^.*:\" \"\" file \${form})
      get_filename_component(folder \${prefix}/share/\${file} DIRECTORY)
      file(MAKE_DIRECTORY \${folder})
      execute_process(COMMAND \${CMAKE_COMMAND} -E env --unset=EVICTLAB_SUITE_PATH \${prefix}/bin/evictlab completion \${of}
        OUTPUT_FILE \${prefix}/share/\${file} RESULT_VARIABLE failed)
      if(failed)
        message(FATAL_ERROR \"evictlab completion \${of} failed: \${failed}\")
      endif()
    endforeach()")
endif()
install(FILES LICENSE REUSE.toml DESTINATION share/doc/evictlab)
install(DIRECTORY LICENSES DESTINATION share/doc/evictlab) # of what suites hold
install(FILES README.md CONTRIBUTING.md CHANGELOG.md SECURITY.md DESTINATION share/doc/evictlab)
install(DIRECTORY docs examples DESTINATION share/doc/evictlab)

set_target_properties(evictlab_sdk PROPERTIES EXPORT_NAME sdk)
install(TARGETS evictlab_sdk EXPORT evictlabTargets)
install(TARGETS evictlab_library EXPORT evictlabTargets LIBRARY DESTINATION lib)
install(EXPORT evictlabTargets NAMESPACE evictlab:: DESTINATION ${package_folder})
export(EXPORT evictlabTargets NAMESPACE evictlab:: FILE ${PROJECT_BINARY_DIR}/${package_folder}/evictlabTargets.cmake)

file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/${package_folder}/evictlabConfig.cmake @ONLY CONTENT
"# evictlab::sdk (the headers of a scorer plugin), evictlab_add_scorer(NAME SOURCE...) and evictlab::library (libevictlab
# and its header evictlab/evictlab.h). With COMPONENTS llama also evictlab::llama (libevictlab_llama and its header
# evictlab/evictlab_llama.h), where Evictlab was built with llama.cpp.
include(\"\${CMAKE_CURRENT_LIST_DIR}/evictlabTargets.cmake\")
include(\"\${CMAKE_CURRENT_LIST_DIR}/scorers.cmake\")
foreach(component IN LISTS evictlab_FIND_COMPONENTS)
  if(component STREQUAL llama AND EXISTS \"\${CMAKE_CURRENT_LIST_DIR}/evictlabLlamaTargets.cmake\")
    include(CMakeFindDependencyMacro)
    find_dependency(llama CONFIG HINTS \"\${CMAKE_CURRENT_LIST_DIR}/../../evictlab/llama\")
    include(\"\${CMAKE_CURRENT_LIST_DIR}/evictlabLlamaTargets.cmake\")
    set(evictlab_llama_FOUND TRUE)
  elseif(evictlab_FIND_REQUIRED_\${component})
    set(evictlab_FOUND FALSE)
    set(evictlab_NOT_FOUND_MESSAGE \"this Evictlab has no component \${component}: llama is there where it was built with llama.cpp\")
  endif()
endforeach()
")
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/${package_folder}/evictlab.pc @ONLY CONTENT
"prefix=\${pcfiledir}/../..

Name: evictlab
Description: scores the tokens of a KV cache by any of Evictlab's scorers
Version: ${PROJECT_VERSION}
Cflags: -I\${prefix}/include
Libs: -L\${prefix}/lib -levictlab
")
install(FILES ${PROJECT_BINARY_DIR}/${package_folder}/evictlab.pc DESTINATION lib/pkgconfig)

write_basic_package_version_file(${PROJECT_BINARY_DIR}/${package_folder}/evictlabConfigVersion.cmake
  COMPATIBILITY SameMajorVersion)
configure_file(cmake/scorers.cmake ${PROJECT_BINARY_DIR}/${package_folder}/scorers.cmake COPYONLY)
install(FILES
  ${PROJECT_BINARY_DIR}/${package_folder}/evictlabConfig.cmake
  ${PROJECT_BINARY_DIR}/${package_folder}/evictlabConfigVersion.cmake
  ${PROJECT_BINARY_DIR}/${package_folder}/scorers.cmake
  DESTINATION ${package_folder})
