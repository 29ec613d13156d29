/* A plugin of a later minor version: every struct has grown at its end, the host knows only the beginnings.
 * SPDX-License-Identifier: MIT */
#include <evictlab/scorer.h>

typedef struct {
    evl_param known;
    double step;
} newer_param;

typedef struct {
    evl_preset known;
    const char* paper;
} newer_preset;

typedef struct {
    evl_plugin known;
    evl_status (*warm_up)(evl_instance*);
    uint64_t more[4];
} newer_plugin;

static double sum;

static evl_status create(const double* values, evl_instance** instance, evl_error* error) {
    (void)error;
    sum = values[0] + values[1];
    *instance = (evl_instance*)&sum;
    return EVL_OK;
}

static evl_status score(evl_instance* instance, const evl_batch* batch, double* scores, evl_error* error) {
    (void)instance, (void)error;
    for (uint32_t i = 0; i < batch->heads * batch->tokens; ++i) scores[i] = sum;
    return EVL_OK;
}

static void destroy(evl_instance* instance) { (void)instance; }

static const newer_param params[] = {{{"a", "a", "", 0, 10, 1, EVL_REAL, 0, 0, 0}, 0.5},
                                     {{"b", "b", "", 0, 10, 2, EVL_REAL, 0, 0, 0}, 0.25}};
static const double one[] = {3, 4}, two[] = {5, 6};
static const newer_preset presets[] = {{{.name = "one", .help = "", .values = one}, "a"},
                                       {{.name = "two", .help = "", .values = two}, "b"}};

/* Another type under the exported name. */
extern const newer_plugin grown __asm__("evictlab_scorer") EVL_EXPORT;
const newer_plugin grown = {{EVL_MAGIC, EVL_ABI_MAJOR, EVL_ABI_MINOR + 1, sizeof(newer_plugin), .id = "newer",
                             .name = "Newer", .version = "1.0.0", .description = "", .reference = "", .param_count = 2,
                             .param_size = sizeof(newer_param), .params = &params[0].known, .preset_count = 2,
                             .preset_size = sizeof(newer_preset), .presets = &presets[0].known, .create = create,
                             .score = score, .destroy = destroy},
                            0,
                            {1, 2, 3, 4}};
