// SPDX-License-Identifier: MIT
#include "cli/fitness_workers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "base/option_error.hpp"
#include "base/process/own_file.hpp"
#include "base/text/quoting.hpp"
#include "cli/interrupt.hpp"
#include "cli/output.hpp"
#include "cli/shared_options.hpp"
#include "cli/version.hpp"

namespace evictlab::cli {
namespace {

constexpr std::size_t most_workers = 1024;
constexpr double usual_timeout = 600; // seconds

/// This program, `workers` times on this machine, whose cores they share.
std::vector<std::string> local_commands(const po::variables_map& values, std::size_t workers) {
    const int typed = threads_from(values);
    const std::size_t threads = typed > 0 ? static_cast<std::size_t>(typed) : std::thread::hardware_concurrency();
    return std::vector<std::string>(
        workers, fmt::format("exec {} fitness --serve --threads {}", text::shell_quoted(own_file().string()),
                             std::max<std::size_t>(1, threads / std::max<std::size_t>(1, workers))));
}

} // namespace

void add_fitness_worker_options(po::options_description& options) {
    options.add_options()("fitness-workers", po::value<std::string>()->value_name("N"),
                          "hold the documents in N processes here, each some of them: the same run (docs/farm.md)");
    options.add_options()(
        "fitness-worker", po::value<std::vector<std::string>>()->value_name("COMMAND"),
        "likewise a process by this command, such as 'ssh b evictlab fitness --serve'; once a process");
    options.add_options()("fitness-timeout", po::value<std::string>()->value_name("S"),
                          "one is lost after S seconds of silence (600)");
}

std::unique_ptr<evolution::FitnessWorkers> fitness_workers_from(const po::variables_map& values,
                                                                const evolution::SearchSuites& search,
                                                                const evolution::RunConfig& config) {
    const auto number = number_from<std::size_t>(values, "fitness-workers", "a whole number");
    if (number && (*number < 1 || *number > most_workers))
        throw OptionError("fitness-workers", fmt::format("must be from 1 to {}", most_workers));
    double seconds = usual_timeout;
    read_number<double>(values, "fitness-timeout", "a number of seconds", seconds);
    if (!(seconds > 0 && seconds <= 86400))
        throw OptionError("fitness-timeout", "must be above 0 and at most 86400 seconds");

    evolution::FitnessWorkerOptions options;
    if (values.contains("fitness-worker")) options.commands = values["fitness-worker"].as<std::vector<std::string>>();
    for (std::string& local : local_commands(values, number.value_or(0))) options.commands.push_back(std::move(local));
    if (options.commands.empty()) {
        if (values.contains("fitness-timeout")) throw OptionError("fitness-timeout", "belongs to --fitness-workers");
        return nullptr;
    }
    options.version = version;
    options.timeout = std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
    options.stop = &interrupted();
    options.tell = [](const std::string& words) { complain(words); };
    return evolution::fitness_workers_for(search, config, std::move(options));
}

} // namespace evictlab::cli
