// What a plugin cannot reach, whatever it asks for: with all that this kernel and user have to hold it, and with parts
// of that left away, as where a kernel lacks them. SPDX-License-Identifier: MIT
#include <fmt/format.h>
#include <pty.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <iterator>
#include <string>

#include "isolation/layers.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/isolated.hpp"
#include "tests/support/process.hpp"
#include "tests/zoo/filtered/attempts.hpp"

using namespace evictlab;
using namespace evictlab::test;
using namespace evictlab::isolation;
namespace fs = std::filesystem;

namespace {

const fs::path zoo = EVICTLAB_ZOO;
const bool sanitized = !std::string(EVICTLAB_SANITIZE).empty(); // whose workers ask for much themselves

constexpr std::uint32_t namespaces = user_layer | pid_layer | mount_layer | net_layer | ipc_layer;

std::shared_ptr<const Plugin> loaded(const char* animal, std::uint32_t without = 0) {
    Settings settings = worker_settings();
    settings.limits.without = without;
    return isolating(settings)(zoo / animal);
}

bool held_by(const Plugin& plugin, const std::string& layer) {
    const std::string place(plugin.place());
    return place.substr(0, place.find("; missing")).find(layer) != place.npos;
}

/// What came of creating an instance: "" or the cause.
std::string outcome(const Plugin& plugin, const std::vector<double>& values) {
    try {
        plugin.create(values);
        return {};
    } catch (const PluginError& error) {
        return error.cause;
    }
}

pid_t run_self(const char* tests, const char* animal, std::uint32_t without) {
    const pid_t child = ::fork();
    if (child != 0) return child;
    ::setenv("EVICTLAB_TEST_ANIMAL", animal, 1);
    ::setenv("EVICTLAB_TEST_WITHOUT", std::to_string(without).c_str(), 1);
    ::execl("/proc/self/exe", "test_containment", tests, static_cast<char*>(nullptr));
    ::_exit(127);
}

} // namespace

TEST_CASE("what a plugin may not ask for ends its process, by name", "[contained]") {
    const std::uint32_t without = GENERATE(0U, landlock_layer | namespaces);
    const auto plugin = loaded("filtered/trespasses.so", without);
    if (sanitized || !held_by(*plugin, "seccomp filter")) return;
    for (std::size_t i = 0; i < std::size(deadly); ++i) {
        INFO("attempt " << i);
        CHECK(outcome(*plugin, {static_cast<double>(i), static_cast<double>(::getpid())}) ==
              fmt::format("asked the system for `{}`, which a plugin may not (SIGSYS)", deadly[i].call));
    }
}

TEST_CASE("what libraries try fails, and changes nothing", "[contained]") {
    const std::uint32_t without = GENERATE(0U, landlock_layer | namespaces);
    const auto plugin = loaded("filtered/trespasses.so", without);
    if (sanitized || !held_by(*plugin, "seccomp filter")) return;
    for (std::size_t i = 0; i < std::size(vain); ++i) {
        INFO(vain[i].call << ", attempt " << i);
        CHECK(outcome(*plugin, {static_cast<double>(std::size(deadly) + i), static_cast<double>(::getpid())}) == "");
    }
}

TEST_CASE("what ordinary libraries do goes on", "[contained]") {
    ::setenv("OMP_PLACES", "cores", 1);
    const auto plugin = loaded("lively.so", GENERATE(0U, +pid_layer, namespaces, landlock_layer | namespaces));
    ::unsetenv("OMP_PLACES");
    CHECK(outcome(*plugin, {}) == "");
}

TEST_CASE("a plugin looks into no process but its own, by any one of what holds it", "[contained][looks]") {
    const std::uint32_t without = GENERATE(0U, +landlock_layer, namespaces, landlock_layer | namespaces,
                                           landlock_layer | filter_layer, namespaces | filter_layer, all_layers);
    INFO("without " << names_of_layers(without));
    const auto plugin = loaded("filtered/peeks.so", without);
    INFO(plugin->place());
    CHECK(outcome(*plugin, {static_cast<double>(::getpid()), 1}) == "");
}

TEST_CASE("where there is Landlock a plugin reads no files but libraries'", "[contained][looks]") {
    const std::uint32_t without = GENERATE(0U, namespaces, namespaces | filter_layer);
    INFO("without " << names_of_layers(without));
    const auto plugin = loaded("filtered/peeks.so", without);
    if (!held_by(*plugin, "Landlock")) return;
    CHECK(outcome(*plugin, {static_cast<double>(::getpid()), 0}) == "");
}

TEST_CASE("what is missing is told", "[contained]") {
    const auto plugin = loaded("filtered/peeks.so", landlock_layer | net_layer);
    CHECK_THAT(std::string(plugin->place()), ContainsSubstring("; missing here: Landlock, "));
    CHECK_THAT(std::string(plugin->place()), ContainsSubstring("net"));
    CHECK_FALSE(held_by(*plugin, "Landlock"));
}

TEST_CASE("a plugin has no terminal, also where the program has one", "[contained]") {
    int terminal = -1;
    const pid_t child = ::forkpty(&terminal, nullptr, nullptr, nullptr);
    REQUIRE(child >= 0);
    if (child == 0) {
        const std::string animal = (zoo / "filtered/terminal.so").string();
        ::execl(EVICTLAB_BINARY, "evictlab", "bench", "--suite", "micro", "--patterns", "1", "--layers", "1",
                "--seq-len", "16", "--plugin-timeout", "60", "--scorers", animal.c_str(), static_cast<char*>(nullptr));
        ::_exit(127);
    }
    std::string said;
    char piece[1024];
    for (ssize_t count = 0; (count = ::read(terminal, piece, sizeof piece)) > 0;)
        said.append(piece, static_cast<std::size_t>(count));
    int status = 0;
    ::waitpid(child, &status, 0);
    ::close(terminal);
    INFO(said);
    CHECK(status == 0);
}

TEST_CASE("a worker has a session of its own, whatever else holds it", "[contained]") {
    const auto plugin = loaded("filtered/peeks.so", GENERATE(0U, +all_layers));
    const auto processes = processes_of_workers(::getpid());
    CHECK_FALSE(processes.empty());
    for (const pid_t process : processes) CHECK(::getsid(process) != ::getsid(0));
}

TEST_CASE("of the environment a worker has what libraries need, and nothing else", "[contained]") {
    ::setenv("OMP_NUM_THREADS", "3", 1);
    ::setenv("SECRET_TOKEN", "0123", 1);
    const auto plugin = loaded("filtered/peeks.so", GENERATE(0U, +all_layers));
    ::unsetenv("SECRET_TOKEN");
    int read = 0, kept = 0; // others than root may not look
    for (const pid_t process : processes_of_workers(::getpid())) {
        const std::string environment = told_of_process("/proc/" + std::to_string(process), "environ");
        CHECK_THAT(environment, !ContainsSubstring("SECRET"));
        read += environment.empty() ? 0 : 1;
        kept += environment.find("OMP_NUM_THREADS=3") != environment.npos ? 1 : 0;
    }
    CHECK(kept == read);
}

TEST_CASE("the part of the next test that is killed", "[.killed]") {
    const auto plugin = loaded(std::getenv("EVICTLAB_TEST_ANIMAL"),
                               static_cast<std::uint32_t>(std::stoul(std::getenv("EVICTLAB_TEST_WITHOUT"))));
    const auto instance = plugin->create(plugin->default_values());
    const double column = 0.5;
    const double* columns[] = {&column};
    const std::ptrdiff_t strides[] = {0};
    const evl_batch batch{sizeof(evl_batch), 0, 1, 1, 1, 1, columns, strides, 0, 0, nullptr, 0, nullptr};
    double score = 0;
    instance->score(batch, &score);
}

TEST_CASE("a plugin that clings to life ends with the program, by its namespace or by the filter", "[contained]") {
    const auto [animal, without] =
        GENERATE(table<const char*, std::uint32_t>({{"clings.so", filter_layer}, {"loop_in_score.so", namespaces}}));
    const auto plugin = loaded(animal, without);
    if (!held_by(*plugin, without == filter_layer ? "pid" : "seccomp filter")) return;
    const pid_t host = run_self("[.killed]", animal, without);
    REQUIRE(host > 0);
    for (int look = 0; look < 6000 && count_workers(host) == 0; ++look) ::usleep(10'000);
    ::usleep(100'000); // so that it mostly is in the plugin by then, which proves more; true anyway
    ::kill(host, SIGKILL);
    ::waitpid(host, nullptr, 0);
    CHECK(no_worker_left(host));
}

TEST_CASE("all of this holds for an ordinary user, too") {
    const std::string self = fs::read_symlink("/proc/self/exe").string();
    const std::string as_nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups ";
    if (::geteuid() != 0 || shell(as_nobody + "test -x '" + self + "' -a -r '" + zoo.string() + "'").code != 0) return;
    const test::Outcome there = shell(as_nobody + "'" + self + "' '[contained]'", "/");
    INFO(there.out << there.err);
    CHECK(there.code == 0);
}

TEST_CASE("and where user namespaces are off, for a user without rights") {
    const std::string without_namespaces =
        "unshare -U -r sh -c 'echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv "
        "--bounding-set=-all --inh-caps=-all --securebits=+noroot \"$0\" \"$@\"' ";
    if (shell(without_namespaces + "true").code != 0) return; // they are off here
    const test::Outcome there =
        shell(without_namespaces + "'" + fs::read_symlink("/proc/self/exe").string() + "' '[looks]'", "/");
    INFO(there.out << there.err);
    CHECK(there.code == 0);
    const test::Outcome told = shell(without_namespaces + "'" EVICTLAB_BINARY "' plugins describe '" +
                                     (zoo / "filtered/peeks.so").string() + "'");
    CHECK(told.code == 0);
    CHECK_THAT(told.err, ContainsSubstring("plugins are held by less than could be: without "));
    CHECK_THAT(told.out, ContainsSubstring("missing here: "));
}
