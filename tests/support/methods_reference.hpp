// The columns of the published methods, computed slowly and plainly in double precision from queries, keys and values:
// one function a column, each written from its definition. The judge of the fast columns.
// SPDX-License-Identifier: MIT
#pragma once
#include <string_view>
#include <vector>

#include "tests/support/methods_fixture.hpp"

namespace evictlab::test {

/// A[i][j] of one query head: softmax over j <= i of q.k/sqrt(d), 0 behind. [tokens][tokens]
std::vector<std::vector<double>> attention_of(const MethodsLayer& layer, std::size_t query_head);

/// A column by its full name at the last position, [kv_heads][tokens]. Throws std::invalid_argument for one that no
/// published method asks for.
std::vector<double> reference_column(const MethodsLayer& layer, std::string_view full_name);

} // namespace evictlab::test
