/* A plugin of ABI 1.0, compiled with the header of its time.
 * SPDX-License-Identifier: MIT */
#include "evictlab_scorer_1_0.h"

static int made;

static evl_status create(const double* values, evl_instance** instance, evl_error* error) {
    (void)error;
    made = (int)values[0];
    *instance = (evl_instance*)&made;
    return EVL_OK;
}

static evl_status score(evl_instance* instance, const evl_batch* batch, double* scores, evl_error* error) {
    (void)instance, (void)error;
    for (uint32_t i = 0; i < batch->heads * batch->tokens; ++i) scores[i] = made + batch->columns[0][i];
    return EVL_OK;
}

static void destroy(evl_instance* instance) { (void)instance; }

static const char* const columns[] = {"recent_attn"};
static const evl_param params[] = {{"base", "base", "added to all", 0, 10, 5, EVL_INTEGER, 0, 0, 0}};
static const double values[] = {7};
static const evl_preset presets[] = {{"seed", "", values}};

const evl_plugin evictlab_scorer = {
    EVL_HEADER, "older",           "Older", "1.0.0", "a plugin of ABI 1.0", "",      0,      1,     columns,
    1,          sizeof(evl_param), params,  1,       sizeof(evl_preset),    presets, create, score, destroy,
    0};
