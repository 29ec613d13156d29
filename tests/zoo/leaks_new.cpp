/* Takes memory by new without end, and does not catch what that throws.
 * SPDX-License-Identifier: MIT */
#include <vector>

#include "animal.h"

static std::vector<char*> taken;

static evl_status score(evl_instance*, const evl_batch*, double*, evl_error*) {
    for (;;) taken.push_back(new char[1 << 20]{1});
}

ANIMAL("leaks_new", USUAL, tame_create, score, tame_destroy);
