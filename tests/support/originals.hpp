// The built-in scorers' names here, and in the figures that were measured with the original program.
// SPDX-License-Identifier: MIT
#pragma once
#include <map>
#include <string>

namespace evictlab::test {

inline const std::map<std::string, std::string> original_names{{"streaming_llm@seed", "streaming_llm"},
                                                               {"h2o@seed", "h2o"},
                                                               {"snapkv@seed", "snapkv_lite"},
                                                               {"pyramidkv@seed", "pyramid_kv_seed"},
                                                               {"knorm@seed", "knorm_press"},
                                                               {"tova@seed", "tova_seed"},
                                                               {"position_corrected_h2o", "position_corrected_h2o"},
                                                               {"random@seed", "random"},
                                                               {"hybrid", "hybrid_baseline"},
                                                               {"hybrid_start", "start_formula"},
                                                               {"evolved", "evolved"}};

} // namespace evictlab::test
