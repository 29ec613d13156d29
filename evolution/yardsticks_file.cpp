// SPDX-License-Identifier: MIT
#include "evolution/yardsticks_file.hpp"

#include "base/digest/digest.hpp"
#include "base/json/json_field.hpp"
#include "base/output/write_file.hpp"

namespace evictlab::evolution {
namespace {

constexpr const char* schema = "evictlab-yardsticks/1";
constexpr std::uintmax_t most_bytes = 1U << 20U;

std::filesystem::path file_beside(const std::filesystem::path& state_file) {
    return state_file.string() + yardsticks_ending;
}

/// Of all that they follow from, as the state has it.
std::string key_of(const RunSetup& setup, std::span<const double> retentions) {
    const Json saved = to_json(setup, retentions);
    Json key;
    for (const char* part : {"suite", "more_suites", "retentions", "shape", "keep"})
        if (saved.contains(part)) key[part] = saved.at(part);
    return sha256_hex(key.dump());
}

std::array<double, 2> two(const JsonField& field) {
    const std::vector<double> numbers = field.numbers();
    if (numbers.size() != 2) field.fail("is not of train and valid");
    return {numbers[0], numbers[1]};
}

/// Before it was by retention it was one number a document.
std::vector<std::vector<double>> rival_from(const JsonField& content) {
    std::vector<std::vector<double>> errors;
    if (const auto documents = content.optional_member("rival_documents"))
        for (const JsonField& document : documents->elements()) errors.push_back(document.numbers());
    else
        for (const double error : content.member("rival_valid").numbers()) errors.push_back({error});
    return errors;
}

std::vector<std::size_t> valid_documents_from(const JsonField& content) {
    std::vector<std::size_t> counts;
    if (const auto given = content.optional_member("valid_documents"))
        for (const JsonField& count : given->elements()) counts.push_back(count.whole<std::uint32_t>());
    return counts;
}

} // namespace

void write_yardsticks(const std::filesystem::path& state_file, const RunSetup& setup,
                      std::span<const double> retentions, const Yardsticks& yardsticks) {
    const Json json{{"schema", schema},
                    {"of", key_of(setup, retentions)},
                    {"oracle", yardsticks.oracle},
                    {"published", yardsticks.published},
                    {"published_name", yardsticks.published_name},
                    {"rival", yardsticks.rival},
                    {"rival_documents", yardsticks.rival_valid},
                    {"valid_documents", yardsticks.valid_documents}};
    write_file(file_beside(state_file), json.dump(2) + "\n");
}

std::optional<Yardsticks> read_yardsticks(const std::filesystem::path& state_file, const RunSetup& setup,
                                          std::span<const double> retentions) {
    const std::filesystem::path file = file_beside(state_file);
    std::error_code error;
    if (!std::filesystem::is_regular_file(file, error)) return std::nullopt;
    try {
        const std::string name = file.string();
        const Json json = parse_json(read_text(file, most_bytes), name);
        const JsonField content(json, name);
        if (content.member("schema").text() != schema || content.member("of").text() != key_of(setup, retentions))
            return std::nullopt;
        return Yardsticks{two(content.member("oracle")),
                          two(content.member("published")),
                          content.member("published_name").text(),
                          content.member("rival").text(),
                          rival_from(content),
                          valid_documents_from(content)};
    } catch (const Error&) {
        return std::nullopt;
    }
}

} // namespace evictlab::evolution
