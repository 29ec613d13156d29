# SPDX-License-Identifier: MIT
# The files of pages, report/page/, into the program: each file as one string.
file(GLOB page_names CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}/report/page ${PROJECT_SOURCE_DIR}/report/page/*.html
  ${PROJECT_SOURCE_DIR}/report/page/*.css ${PROJECT_SOURCE_DIR}/report/page/*.js ${PROJECT_SOURCE_DIR}/report/page/vendor/*.js)
set(page_pieces "")
foreach(name IN LISTS page_names)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/report/page/${name})
  file(READ ${PROJECT_SOURCE_DIR}/report/page/${name} text)
  string(APPEND page_pieces "    {\"${name}\", R\"~page~(${text})~page~\"},\n")
endforeach()
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/generated/page_files.cpp @ONLY CONTENT
"// Written by cmake/page_files.cmake.
#include \"report/page_files.hpp\"
namespace evictlab::report {
const std::map<std::string_view, std::string_view>& page_files() {
  static const std::map<std::string_view, std::string_view> files{
@page_pieces@  };
  return files;
}
} // namespace evictlab::report
")
target_sources(evictlab_report PRIVATE ${PROJECT_BINARY_DIR}/generated/page_files.cpp)
