// SPDX-License-Identifier: MIT
#include "base/json/json_field.hpp"
#include "framework/formula/formula.hpp"

namespace evictlab::formula {

std::string read_formula_file(const std::filesystem::path& file) {
    try {
        return read_text(file, std::uintmax_t{4} << 20);
    } catch (const Interrupted&) {
        throw;
    } catch (const Error& error) {
        throw UsageError(error.what());
    }
}

} // namespace evictlab::formula
