// SPDX-License-Identifier: MIT
#include "evolution/genome.hpp"

#include <fmt/format.h>
#include <tbb/parallel_for.h>

#include <charconv>
#include <mutex>
#include <optional>

#include "base/digest/digest.hpp"
#include "evolution/external/program_texts.hpp"

namespace evictlab::evolution {

struct Genome::Content {
    formula::Formula formula{};
    std::optional<ParameterSet> parameters{};
    std::string text{};
    std::uint64_t hash = 0;
    mutable std::once_flag compiled{};
    mutable std::optional<formula::Program> program{};

    Content(formula::Formula of, std::string as_text, std::uint64_t its_hash)
        : formula(std::move(of)), text(std::move(as_text)), hash(its_hash) {}
    Content(ParameterSet of, std::uint64_t its_hash)
        : parameters(std::move(of)), text(parameters->scorer), hash(its_hash) {}
    Content(const Content&) = delete;
    Content& operator=(const Content&) = delete;
    ~Content() {
        if (program) forget_text(*program);
    }
};

const Genome::Content& Genome::content() const {
    static const Content nothing(formula::Formula(), "", 0);
    return content_ ? *content_ : nothing;
}

Genome Genome::canonical(const formula::Formula& formula) {
    formula::Formula form = formula::canonical(formula);
    std::string text = print(form);
    const std::uint64_t hash = hash_of_text(text);
    return Genome(std::make_shared<Content>(std::move(form), std::move(text), hash));
}

Genome Genome::verbatim(formula::Formula formula) {
    const std::uint64_t hash = hash_of_text(print(formula::canonical(formula)));
    return saved(std::move(formula), hash);
}

Genome Genome::parameters_of(const ParameterSpace& space, std::span<const double> values) {
    ParameterSet set{space.text(values), {values.begin(), values.end()}, space.changed(values)};
    const std::uint64_t hash = hash_of_text(set.scorer);
    return saved(std::move(set), hash);
}

Genome Genome::saved(formula::Formula formula, std::uint64_t hash) {
    std::string text = print(formula);
    return Genome(std::make_shared<Content>(std::move(formula), std::move(text), hash));
}

Genome Genome::saved(ParameterSet parameters, std::uint64_t hash) {
    return Genome(std::make_shared<Content>(std::move(parameters), hash));
}

const formula::Formula& Genome::formula() const { return content().formula; }
const ParameterSet* Genome::parameters() const { return content().parameters ? &*content().parameters : nullptr; }
const std::string& Genome::text() const { return content().text; }
const char* Genome::text_key() const { return parameters() ? "scorer" : "formula"; }
std::string Genome::scorer_text() const { return (parameters() ? "" : "=") + text(); }
std::uint64_t Genome::hash() const { return content().hash; }
std::string Genome::hash_text() const { return fmt::format("{:016x}", hash()); }
std::size_t Genome::size() const { return parameters() ? parameters()->changed : formula().size(); }

FitnessJob Genome::job() const {
    const Content& own = content();
    if (own.parameters) return {nullptr, own.parameters->values};
    std::call_once(own.compiled, [&] {
        own.program.emplace(own.formula);
        remember_text(*own.program, own.text);
    });
    return {&*own.program, own.program->constants()};
}

std::uint64_t hash_of_text(const std::string& text) {
    const std::string digits = sha256_hex(text).substr(0, 16);
    std::uint64_t hash = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), hash, 16);
    return hash;
}

std::uint64_t skeleton_of(const Genome& genome) {
    if (genome.parameters()) return genome.hash();
    std::uint64_t hash = 0xcbf29ce484222325U; // FNV-1a
    for (const auto& node : genome.formula().nodes()) {
        hash = (hash ^ static_cast<std::uint64_t>(node.op)) * 0x100000001b3U;
        if (node.op == formula::Op::column) hash = (hash ^ (node.column + 256U)) * 0x100000001b3U;
    }
    return hash;
}

std::vector<FitnessJob> jobs_of(std::span<const Genome> genomes) {
    std::vector<FitnessJob> jobs(genomes.size());
    tbb::parallel_for(std::size_t{0}, genomes.size(), [&](std::size_t i) { jobs[i] = genomes[i].job(); });
    return jobs;
}

} // namespace evictlab::evolution
