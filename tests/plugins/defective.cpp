// A plugin with one defect, chosen when it is compiled (EVL_DEFECT). Its id is the defect's name.
// SPDX-License-Identifier: MIT
#include <evictlab/scorer.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string_view>

namespace {

constexpr std::string_view defect = EVL_DEFECT;

evl_status fail(evl_error* error, const char* text) {
    std::strncpy(error->text, text, sizeof error->text - 1);
    return EVL_FAILED;
}

evl_status create(const double*, evl_instance** instance, evl_error* error) {
    if (defect == "failing_create") return fail(error, "the model file is missing");
    if (defect == "silent_failure") return 7;
    if (defect == "throwing_create") throw std::runtime_error("thrown in create");
    if (defect == "throwing_int") throw 3;
    if (defect != "no_instance") *instance = reinterpret_cast<evl_instance*>(new int(0));
    return EVL_OK;
}

evl_status score(evl_instance*, const evl_batch* batch, double* scores, evl_error* error) {
    if (defect == "failing_score") return fail(error, "no weights for this layer");
    if (defect == "throwing_score") throw std::runtime_error("thrown in score");
    for (std::uint32_t i = 0; i < batch->heads * batch->tokens; ++i)
        scores[i] = defect == "nan_score" && i == 2 ? std::nan("") : i;
    return EVL_OK;
}

void destroy(evl_instance* instance) { delete reinterpret_cast<int*>(instance); }

evl_status layer_budget(evl_instance*, const evl_budget_query*, std::uint64_t*, evl_error* error) {
    if (defect == "throwing_budget") throw std::runtime_error("thrown in layer_budget");
    return fail(error, "no budget for this layer");
}

const void* extension(const char* id) {
    static const evl_layer_budget layers{defect == "null_extension" ? nullptr : layer_budget};
    static const evl_threshold threshold{defect == "threshold_far"     ? 9U
                                         : defect == "threshold_whole" ? 0U
                                                                       : 1U,
                                         defect == "threshold_window" ? 1U : 0U};
    if (defect.starts_with("threshold") && std::string_view(id) == EVL_THRESHOLD) return &threshold;
    if (defect == "throwing_extension") throw std::runtime_error("thrown in extension");
    const bool budgets = defect == "null_extension" || defect == "failing_budget" || defect == "throwing_budget";
    return budgets && std::string_view(id) == EVL_LAYER_BUDGET ? &layers : nullptr;
}

extern const evl_plugin other;

evl_param params[2] = {{"window", "window", "in tokens", 1, 64, 8, EVL_INTEGER, 1, 1, 0},
                       {"power", "power", "", 0, 4, 0.5, EVL_REAL, 0, 1, 0}};
double values[2] = {16, 0.25};
evl_preset presets[2] = {{"seed", "", values, 0, nullptr, nullptr}, {"paper", "", values, 0, nullptr, nullptr}};
const char* columns[2] = {"position", "key_norm"};
const char* many_columns[300] = {};
char long_text[20000] = {};

evl_plugin make() {
    evl_plugin p{EVL_HEADER, EVL_DEFECT, "Defective", "1.0.0",           "for tests", "", EVL_DETERMINISTIC,
                 2,          columns,    2,           sizeof(evl_param), params,      2,  sizeof(evl_preset),
                 presets,    create,     score,       destroy,           extension,   0,  nullptr,
                 nullptr,    0,          nullptr};
    const double infinity = std::numeric_limits<double>::infinity();
    if (defect == "wrong_magic") p.magic = 0x1234;
    if (defect == "wrong_abi_major") p.abi_major = 9, p.abi_minor = 4;
    if (defect == "short_struct") p.struct_size = 64;
    if (defect == "null_id") p.id = nullptr;
    if (defect == "bad_id") p.id = "Bad Id";
    if (defect == "null_name") p.name = nullptr;
    if (defect == "null_create") p.create = nullptr;
    if (defect == "null_score") p.score = nullptr;
    if (defect == "null_destroy") p.destroy = nullptr;
    if (defect == "bad_param_key") params[1].key = "power-of";
    if (defect == "twin_param") params[1].key = "window";
    if (defect == "min_above_default") params[0].min = 9;
    if (defect == "max_below_default") params[0].max = 7;
    if (defect == "log_from_zero") params[1].log_scale = 1;
    if (defect == "infinite_param") params[1].max = infinity;
    if (defect == "fractional_integer") params[0].default_value = 8.5;
    if (defect == "unknown_type") params[0].type = 5;
    if (defect == "short_param") p.param_size = 16;
    if (defect == "null_params") p.params = nullptr;
    if (defect == "preset_out_of_range") values[0] = 65;
    if (defect == "preset_without_values") presets[1].values = nullptr;
    if (defect == "bad_preset_name") presets[1].name = "Paper!";
    if (defect == "twin_preset") presets[1].name = "seed";
    if (defect == "unknown_column") columns[1] = "key_nrom";
    if (defect == "null_columns") p.columns = nullptr;
    if (defect == "open_brace") columns[1] = "window_attn:{window";
    if (defect == "unknown_brace") columns[1] = "window_attn:{windw}";
    if (defect == "bad_choice") columns[1] = "window_attn:{window?avg}";
    if (defect == "bad_column_parameter") columns[1] = "window_attn:{power}";
    if (defect == "threshold_budgeted") p.flags |= EVL_BUDGETED;
    if (defect == "window_without_tensors") p.tensor_window = 8;
    if (defect == "variant_id" || defect == "variant_preset" || defect == "endless_variants") p.variant = &other;
    if (defect == "garbage_count") p.column_count = std::uint64_t{1} << 60;
    if (defect == "many_columns") {
        for (const char*& column : many_columns) column = "position";
        p.columns = many_columns, p.column_count = 300;
    }
    if (defect == "many_variants") {
        for (const char*& column : many_columns) column = "position";
        p.columns = many_columns, p.column_count = 250, p.variant = &other;
    }
    if (defect == "long_text") {
        std::memset(long_text, 'x', sizeof long_text - 1);
        p.description = long_text;
    }
    if (defect == "wide_window") p.flags |= EVL_TENSORS, p.tensor_window = std::uint64_t{1} << 60;
    if (defect == "bad_preset_column") columns[1] = "window_attn:{power?64|0}", values[1] = 0;
    return p;
}

const evl_plugin other = [] {
    evl_plugin p = make();
    if (defect == "variant_id") p.id = "another";
    if (defect != "variant_preset") p.preset_count = 0;
    p.variant = defect == "endless_variants" || defect == "many_variants" ? &other : nullptr;
    return p;
}();

} // namespace

extern "C" const evl_plugin evictlab_scorer = make();
