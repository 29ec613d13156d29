// evictlab fitness: a worker of a search, which holds some documents of its suites and measures formulas on them.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>
#include <poll.h>
#include <tbb/global_control.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <thread>

#include "cli/command.hpp"
#include "cli/shared_options.hpp"
#include "cli/version.hpp"
#include "evolution/external/fitness_server.hpp"

namespace evictlab::cli {
namespace {

constexpr std::string_view usage =
    "Usage: evictlab fitness --serve [OPTION...]\n\n"
    "Holds some documents of a search's suites and measures formulas on them: one of the processes that evolve\n"
    "--fitness-worker starts, here or on other machines. It reads requests, one a line, from standard input, and\n"
    "answers on standard output (docs/farm.md). It ends with its input.";

constexpr std::string_view examples =
    "  evictlab evolve --suite smollm2 --state run.json --fitness-worker 'evictlab fitness --serve' \\\n"
    "      --fitness-worker 'ssh b evictlab fitness --serve'\n";

constexpr std::size_t line_limit = std::size_t{1} << 26; ///< bytes

po::options_description fitness_options() {
    po::options_description options("Options");
    options.add_options()("serve", "answer requests");
    add_suite_options(options, true);
    options.add_options()("threads", po::value<std::string>()->value_name("N"), "threads (default: one a core)");
    return options;
}

/// Lines of standard input, read while others are answered. Where nobody reads the answers any more the process ends,
/// whatever it is at: a search that was killed leaves no worker behind.
class Requests {
public:
    Requests() : reader_([this] { read(); }) {}
    ~Requests() {
        done_ = true;
        reader_.join();
    }
    /// Nothing at the end of the input.
    std::optional<std::string> next() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return !lines_.empty() || ended_; });
        if (lines_.empty()) return std::nullopt;
        std::string line = std::move(lines_.front());
        lines_.pop_front();
        return line;
    }

private:
    void read() {
        std::string rest;
        for (std::vector<char> chunk(1 << 16);;) {
            const ssize_t size = ::read(STDIN_FILENO, chunk.data(), chunk.size());
            if (size < 0 && errno == EINTR) continue;
            if (size <= 0) break;
            rest.append(chunk.data(), static_cast<std::size_t>(size));
            std::size_t begin = 0;
            for (std::size_t end; (end = rest.find('\n', begin)) != std::string::npos; begin = end + 1)
                put(rest.substr(begin, end - begin));
            rest.erase(0, begin);
            if (rest.size() > line_limit) break;
        }
        if (!rest.empty()) put(std::move(rest));
        {
            const std::lock_guard lock(mutex_);
            ended_ = true;
        }
        changed_.notify_one();
        watch_readers();
    }
    void put(std::string line) {
        const std::lock_guard lock(mutex_);
        lines_.push_back(std::move(line));
        changed_.notify_one();
    }
    void watch_readers() const {
        while (!done_) {
            pollfd out{STDOUT_FILENO, 0, 0};
            if (::poll(&out, 1, 20) > 0 && (out.revents & (POLLERR | POLLHUP)) != 0) std::_Exit(exit_failure);
            if (out.revents == 0) continue;
            std::this_thread::sleep_for(std::chrono::milliseconds(100));
        }
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::string> lines_;
    bool ended_ = false;
    std::atomic<bool> done_ = false;
    std::thread reader_; ///< last, so that all else is there when it begins
};

void write_line(const Json& json) {
    const std::string line = json.dump() + "\n";
    for (std::size_t at = 0; at < line.size();) {
        const ssize_t size = ::write(STDOUT_FILENO, line.data() + at, line.size() - at);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) std::_Exit(exit_failure); // nobody reads it
        at += static_cast<std::size_t>(size);
    }
}

int run(const std::vector<std::string>& arguments) {
    const auto values = parse_options(arguments, fitness_options(), "", usage, examples);
    if (!values) return exit_ok;
    if (!values->contains("serve")) throw UsageError("there is one thing to do: evictlab fitness --serve");
    std::optional<tbb::global_control> threads;
    if (const int n = threads_from(*values); n > 0)
        threads.emplace(tbb::global_control::max_allowed_parallelism, static_cast<std::size_t>(n));
    std::vector<Suite> suites;
    if (values->contains("suite")) suites = suites_from(*values);
    evolution::FitnessServer server(std::move(suites), version, write_line);
    write_line(server.introduction());
    Requests requests;
    while (const auto line = requests.next()) server.take(*line);
    return exit_ok;
}

} // namespace

const Command fitness_command{"fitness", "hold a part of a search's documents (a worker of evolve)", run,
                              fitness_options, ""};

} // namespace evictlab::cli
