# SPDX-License-Identifier: MIT
# `cpack --config build/release/CPackConfig.cmake`: a .deb of what `cmake --install` installs, which depends on the Debian or Ubuntu libraries
# that it was built with. llama.cpp's component is left out, whose library no distribution has.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME evictlab)
set(CPACK_PACKAGE_VENDOR "The Evictlab authors")
set(CPACK_PACKAGE_CONTACT "The Evictlab authors <evictlab@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "measures and evolves KV-cache eviction scorers")
set(CPACK_PACKAGE_DESCRIPTION "Evictlab loads scorers that say which tokens of a language model's KV cache may go, as plugins, measures
what is lost on the attention of real models, evolves better ones, and writes leaderboards.")
set(CPACK_PACKAGE_DIRECTORY ${PROJECT_BINARY_DIR}/packages)
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_ALL Unspecified)
set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS gnuplot-nox)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
include(CPack)
