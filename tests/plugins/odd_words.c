/* A scorer whose every text is one that a terminal would obey, or Markdown and HTML take for their own.
 * SPDX-License-Identifier: MIT */
#include <evictlab/scorer.h>
#include <string.h>

#define ODD "\033[2J\033]0;title\007\302\233\061m|`<b>[x](http://e.org)\342\200\256cba\342\200\213\342\200\250!\377"

static evl_status create(const double* values, evl_instance** instance, evl_error* error) {
    static int made;
    (void)error;
    if (values[0] > 1) {
        strcpy(error->text, "create says " ODD);
        return EVL_FAILED;
    }
    *instance = (evl_instance*)&made;
    return EVL_OK;
}

static evl_status score(evl_instance* instance, const evl_batch* batch, double* scores, evl_error* error) {
    (void)instance, (void)batch, (void)scores;
    strcpy(error->text, "score says " ODD);
    return EVL_FAILED;
}

static void destroy(evl_instance* instance) { (void)instance; }

static const char* const columns[] = {"position"};
static const evl_param params[] = {{"odd", "label " ODD, "help " ODD, 0, 2, 0, EVL_REAL, 0, 1, 0}};
static const double values[] = {1};
static const evl_preset presets[] = {{.name = "odd", .help = "preset " ODD, .values = values}};

const evl_plugin evictlab_scorer = {
    EVL_HEADER,
    .id = "odd_words",
    .name = "name " ODD,
    .version = "1 " ODD,
    .description = "description " ODD,
    .reference = "reference " ODD,
    .flags = EVL_DETERMINISTIC,
    .column_count = 1,
    .columns = columns,
    .param_count = 1,
    .param_size = sizeof(evl_param),
    .params = params,
    .preset_count = 1,
    .preset_size = sizeof(evl_preset),
    .presets = presets,
    .create = create,
    .score = score,
    .destroy = destroy,
};
