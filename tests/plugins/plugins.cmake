# SPDX-License-Identifier: MIT
# The plugins that tests load: build/tests/plugins/FOLDER/NAME.so, each folder for one subject.
set(test_plugin_folder ${PROJECT_BINARY_DIR}/tests/plugins)
function(evictlab_test_plugin folder name source)
  set(target test_plugin_${folder}_${name})
  evictlab_add_scorer(${target} ${CMAKE_CURRENT_SOURCE_DIR}/plugins/${source})
  target_link_libraries(${target} PRIVATE evictlab_warnings)
  target_compile_definitions(${target} PRIVATE ${ARGN})
  set_target_properties(${target} PROPERTIES
    OUTPUT_NAME ${name} LIBRARY_OUTPUT_DIRECTORY ${test_plugin_folder}/${folder})
  add_dependencies(evictlab_test_support ${target})
endfunction()

# One source, one defect each; defective.cpp says what each does.
foreach(defect
    wrong_magic wrong_abi_major short_struct null_id bad_id null_name null_create null_score null_destroy
    bad_param_key twin_param min_above_default max_below_default log_from_zero infinite_param fractional_integer
    unknown_type short_param null_params preset_out_of_range preset_without_values bad_preset_name twin_preset
    unknown_column null_columns garbage_count open_brace unknown_brace bad_choice bad_column_parameter null_extension
    throwing_extension threshold_far threshold_whole threshold_window threshold_budgeted window_without_tensors variant_id variant_preset endless_variants)
  evictlab_test_plugin(refused ${defect} defective.cpp EVL_DEFECT="${defect}")
endforeach()
foreach(defect none failing_create silent_failure throwing_create throwing_int no_instance failing_score throwing_score
    nan_score failing_budget throwing_budget)
  evictlab_test_plugin(loaded ${defect} defective.cpp EVL_DEFECT="${defect}")
endforeach()
evictlab_test_plugin(refused missing_symbol missing_symbol.c)
evictlab_test_plugin(taken h2o_again defective.cpp EVL_DEFECT="h2o")
foreach(id all bound champion h2o oracle random many_columns many_variants long_text wide_window bad_preset_column)
  evictlab_test_plugin(greedy ${id} defective.cpp EVL_DEFECT="${id}")
endforeach()
evictlab_test_plugin(written c_scorer c_scorer.c)
evictlab_test_plugin(words odd_words odd_words.c)
evictlab_test_plugin(written sdk_heads sdk_heads.cpp)
evictlab_test_plugin(written sdk_batch sdk_batch.cpp)
evictlab_test_plugin(written sdk_budgets sdk_budgets.cpp)
evictlab_test_plugin(published toy toy_published.cpp)
evictlab_test_plugin(published toy_wrapper toy_wrapper.cpp)
evictlab_test_plugin(second_pass toy_second_pass toy_second_pass.cpp)
evictlab_test_plugin(tuned small_space small_space.cpp)
evictlab_test_plugin(tuned scales scales.cpp)
evictlab_test_plugin(tuned tunable tunable.cpp)
evictlab_test_plugin(rebuilt tunable tunable.cpp REBUILT)
# As people build them by hand: without a soname, found by the place of who asks for it.
add_library(test_neighbour SHARED ${CMAKE_CURRENT_SOURCE_DIR}/plugins/neighbour.c)
set_target_properties(test_neighbour PROPERTIES
  NO_SONAME ON OUTPUT_NAME neighbour LIBRARY_OUTPUT_DIRECTORY ${test_plugin_folder}/beside/lib)
evictlab_test_plugin(beside tunable tunable.cpp NEIGHBOUR)
add_dependencies(test_plugin_beside_tunable test_neighbour)
target_link_directories(test_plugin_beside_tunable PRIVATE ${test_plugin_folder}/beside/lib)
target_link_libraries(test_plugin_beside_tunable PRIVATE -lneighbour) # by its name, not by a path
set_target_properties(test_plugin_beside_tunable PROPERTIES
  BUILD_WITH_INSTALL_RPATH ON INSTALL_RPATH "$ORIGIN/lib:\${ORIGIN}/../beside/lib" NO_SONAME ON)
evictlab_test_plugin(abi older abi_1_0/older.c)
evictlab_test_plugin(abi newer newer.c)

target_compile_definitions(evictlab_test_support PUBLIC EVICTLAB_TEST_PLUGINS="${test_plugin_folder}")
add_dependencies(evictlab_test_support ${built_in_scorers})
