# SPDX-License-Identifier: MIT
# The PyTorch text of exported presses, into the program: export/torch/press.py, parts/NAME.py and, one a column,
# columns/NAME.py.
file(GLOB torch_files CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}/export/torch ${PROJECT_SOURCE_DIR}/export/torch/*.py
  ${PROJECT_SOURCE_DIR}/export/torch/*/*.py)
set(pieces "")
foreach(name IN LISTS torch_files)
  set(path ${PROJECT_SOURCE_DIR}/export/torch/${name})
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${path})
  file(READ ${path} text)
  string(APPEND pieces "    {\"${name}\", R\"py(${text})py\"},\n")
endforeach()
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/generated/torch_pieces.cpp @ONLY CONTENT
"// Written by cmake/torch_pieces.cmake.
#include \"export/torch_pieces.hpp\"
namespace evictlab::exporting {
const std::map<std::string_view, std::string_view>& torch_files() {
  static const std::map<std::string_view, std::string_view> files{
@pieces@  };
  return files;
}
} // namespace evictlab::exporting
")
target_sources(evictlab_export PRIVATE ${PROJECT_BINARY_DIR}/generated/torch_pieces.cpp)
