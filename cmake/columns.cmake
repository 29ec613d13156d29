# SPDX-License-Identifier: MIT
# A column is one file: framework/columns/sources/NAME.cpp defines describe_NAME(); this writes the list of them.
file(GLOB column_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/framework/columns/sources/*.cpp)
set(declarations "")
set(calls "")
foreach(source IN LISTS column_sources)
  get_filename_component(name ${source} NAME_WE)
  string(APPEND declarations "ColumnInfo describe_${name}();\n")
  string(APPEND calls "describe_${name}(), ")
endforeach()
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/generated/column_list.cpp @ONLY CONTENT
"// Written by cmake/columns.cmake.
#include \"framework/columns/column.hpp\"
namespace evictlab::columns {
@declarations@std::vector<ColumnInfo> describe_all() { return {@calls@}; }
} // namespace evictlab::columns
")
target_sources(evictlab_framework PRIVATE ${column_sources} ${PROJECT_BINARY_DIR}/generated/column_list.cpp)
