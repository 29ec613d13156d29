# SPDX-License-Identifier: MIT
# The PyTorch text of exported presses, into the program: export/torch/press.py, parts/NAME.py and, one a column,
# columns/NAME.py; and what they share with the tools' own press, tools/src/evictlab_tools/prompt, as prompt/NAME.py.
# Presses hold what stands below the marker.
file(GLOB torch_files CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}/export/torch ${PROJECT_SOURCE_DIR}/export/torch/*.py
  ${PROJECT_SOURCE_DIR}/export/torch/*/*.py)
set(pieces "")
function(evictlab_torch_piece name path marker)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${path})
  file(READ ${path} text)
  string(FIND "${text}" "${marker}\n" place)
  if(place EQUAL -1)
    message(FATAL_ERROR "${path} does not say what exported presses hold: a line \"${marker}\" is missing")
  endif()
  string(LENGTH "${marker}\n" length)
  math(EXPR place "${place} + ${length}")
  string(SUBSTRING "${text}" ${place} -1 text)
  set(pieces "${pieces}    {\"${name}\", R\"py(${text})py\"},\n" PARENT_SCOPE)
endfunction()
foreach(name IN LISTS torch_files)
  evictlab_torch_piece(${name} ${PROJECT_SOURCE_DIR}/export/torch/${name} "# SPDX-License-Identifier: MIT")
endforeach()
foreach(name IN ITEMS seen question layer cache press rotation rope)
  evictlab_torch_piece(prompt/${name}.py ${PROJECT_SOURCE_DIR}/tools/src/evictlab_tools/prompt/${name}.py
    "# Exported presses hold what follows.")
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
