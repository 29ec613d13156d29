/* Lets an exception out of a C function.
 * SPDX-License-Identifier: MIT */
#include <stdexcept>

#include "animal.h"

static evl_status score(evl_instance*, const evl_batch*, double*, evl_error*) { throw std::runtime_error("caught me"); }

ANIMAL("throws", USUAL, tame_create, score, tame_destroy);
