// The functions of the tests; tests.cpp says what each expects. Internal to conformance/.
// SPDX-License-Identifier: MIT
#pragma once
#include "conformance/subject.hpp"

namespace evictlab::conformance {

// tests_description.cpp: what the plugin says of itself
Finding library(const Subject& subject);
Finding symbol(const Subject& subject);
Finding header(const Subject& subject);
Finding descriptor(const Subject& subject);
Finding version(const Subject& subject);
Finding texts(const Subject& subject);
Finding standing(const Subject& subject);
Finding columns_known(const Subject& subject);
Finding unknown_extension(const Subject& subject);

// tests_instances.cpp: create and destroy
Finding create(const Subject& subject);
Finding parameter_ends(const Subject& subject);
Finding many_instances(const Subject& subject);
Finding memory_given_back(const Subject& subject);
Finding nothing_left_behind(const Subject& subject);
Finding quiet(const Subject& subject);
Finding environment_kept(const Subject& subject);

// tests_scores.cpp: batches of all kinds
Finding ordinary_batch(const Subject& subject);
Finding one_token(const Subject& subject);
Finding many_tokens(const Subject& subject);
Finding one_head(const Subject& subject);
Finding equal_values(const Subject& subject);
Finding zeros(const Subject& subject);
Finding denormals(const Subject& subject);
Finding infinite_base(const Subject& subject);
Finding layer_budgets(const Subject& subject);
Finding head_budgets(const Subject& subject);
Finding model_budgets(const Subject& subject);
Finding model_scores(const Subject& subject);

// tests_sameness.cpp: what must not change the scores
Finding deterministic(const Subject& subject);
Finding no_history(const Subject& subject);
Finding layout(const Subject& subject);
Finding newer_host(const Subject& subject);
Finding concurrent(const Subject& subject);
Finding parallel_instances(const Subject& subject);
Finding undeclared_columns(const Subject& subject);
Finding unused_columns(const Subject& subject);
Finding batch_kept(const Subject& subject);

} // namespace evictlab::conformance
