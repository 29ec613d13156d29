/* A scorer in plain C: sinks are kept, the rest by attention received per age.
 * SPDX-License-Identifier: MIT */
#include <evictlab/scorer.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    double sinks, power;
} mine;

static evl_status create(const double* values, evl_instance** instance, evl_error* error) {
    mine* made = malloc(sizeof *made);
    if (!made) {
        strcpy(error->text, "out of memory");
        return EVL_FAILED;
    }
    made->sinks = values[0];
    made->power = values[1];
    *instance = (evl_instance*)made;
    return EVL_OK;
}

static evl_status score(evl_instance* instance, const evl_batch* batch, double* scores, evl_error* error) {
    const mine* m = (const mine*)instance;
    (void)error;
    for (uint32_t h = 0; h < batch->heads; ++h) {
        const double* position = batch->columns[0] + h * batch->head_stride[0];
        const double* age = batch->columns[1] + h * batch->head_stride[1];
        const double* attention = batch->columns[2] + h * batch->head_stride[2];
        double* out = scores + (size_t)h * batch->tokens;
        for (uint32_t i = 0; i < batch->tokens; ++i)
            out[i] = position[i] < m->sinks ? INFINITY : attention[i] / pow(age[i] + 1, m->power);
    }
    return EVL_OK;
}

static void destroy(evl_instance* instance) { free(instance); }

static const char* const columns[] = {"position", "relative_pos", "cumulative_attn"};
static const evl_param params[] = {
    {"sinks", "sinks", "first tokens always kept", 0, 64, 4, EVL_INTEGER, 0, 1, 0},
    {"power", "power", "of the age", 0.01, 4, 1, EVL_REAL, 1, 1, 0},
};
static const double soft[] = {4, 0.5};
static const evl_preset presets[] = {{.name = "soft", .help = "half the power", .values = soft}};

const evl_plugin evictlab_scorer = {
    EVL_HEADER,
    .id = "c_scorer",
    .name = "C scorer",
    .version = "1.0.0",
    .description = "position < sinks: keep; else cumulative_attn / (age + 1)^power",
    .reference = "",
    .flags = EVL_DETERMINISTIC | EVL_CONCURRENT,
    .column_count = 3,
    .columns = columns,
    .param_count = 2,
    .param_size = sizeof(evl_param),
    .params = params,
    .preset_count = 1,
    .preset_size = sizeof(evl_preset),
    .presets = presets,
    .create = create,
    .score = score,
    .destroy = destroy,
};
