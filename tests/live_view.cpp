// evolve on a terminal: what its screen shows while it runs, and that nothing of that stays.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <csignal>
#include <functional>
#include <pty.h>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include "tests/support/catch.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace evictlab::test;

namespace {

/// As much of a terminal as lines, carriage returns, moves up and erasing need; long enough never to scroll.
class Screen {
public:
    explicit Screen(std::size_t columns) : columns_(columns) {}
    void take(std::string_view bytes) {
        received += bytes;
        for (const char c : bytes) {
            if (!escape_.empty()) {
                escape_ += c;
                if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')) obey(std::exchange(escape_, {}));
            } else if (c == '\033') {
                escape_ = c;
            } else if (c == '\r') {
                column_ = 0;
            } else if (c == '\n') {
                ++row_, column_ = 0;
            } else {
                write(c);
            }
        }
    }
    /// The lines up to the last one that is not empty.
    std::string text() const {
        std::string all;
        for (const auto& row : rows_) {
            for (const std::string& cell : row) all += cell;
            all += '\n';
        }
        all.erase(all.find_last_not_of("\n ") + 1);
        return all;
    }
    bool wrapped() const { return wrapped_; }
    std::string unknown;  ///< sequences that are none of those
    std::string received; ///< every byte that came

private:
    void write(char c) {
        if (rows_.size() <= row_) rows_.resize(row_ + 1);
        auto& row = rows_[row_];
        if ((static_cast<unsigned char>(c) & 0xC0) == 0x80) { // goes on with the character before
            row[column_ - 1] += c;
            return;
        }
        if (column_ >= columns_) wrapped_ = true;
        if (row.size() <= column_) row.resize(column_ + 1, " ");
        row[column_++] = c;
    }
    void obey(const std::string& sequence) {
        rows_.resize(std::max(rows_.size(), row_ + 1));
        if (sequence.back() == 'A') {
            row_ -= std::min<std::size_t>(row_, std::stoul(sequence.substr(2)));
        } else if (sequence == "\033[K" || sequence == "\033[J") {
            rows_[row_].resize(std::min(rows_[row_].size(), column_));
            if (sequence == "\033[J") rows_.resize(row_ + 1);
        } else {
            unknown += sequence.substr(1);
        }
    }

    std::size_t columns_, row_ = 0, column_ = 0;
    std::vector<std::vector<std::string>> rows_; ///< cells
    std::string escape_;
    bool wrapped_ = false;
};

/// Runs the command on a terminal so wide, with `seen` told of the screen after each output; gives its exit code.
int on_terminal(const std::string& command, Screen& screen, unsigned short columns,
                const std::function<void(pid_t)>& seen = nullptr) {
    winsize size{};
    size.ws_row = 50, size.ws_col = columns;
    int terminal = -1;
    const pid_t child = ::forkpty(&terminal, nullptr, nullptr, &size);
    REQUIRE(child >= 0);
    if (child == 0) {
        ::setenv("TERM", "xterm", 1);
        ::setenv("LC_ALL", "C.UTF-8", 1);
        ::execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
        ::_exit(127);
    }
    char bytes[4096];
    for (ssize_t count; (count = ::read(terminal, bytes, sizeof bytes)) > 0;) {
        screen.take({bytes, static_cast<std::size_t>(count)});
        if (seen) seen(child);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    ::close(terminal);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string evolve(const TemporaryFolder& folder, const std::string& options) {
    return "cd '" + folder.path.string() +
           "' && exec '" EVICTLAB_BINARY "' evolve --suite micro --seq-len 24 --layers 2 "
           "--patterns 2 --population 30 --seed 3 --state run.json --quiet " +
           options;
}

} // namespace

TEST_CASE("a run's live view shows it in a few lines, which a Ctrl-C takes away") {
    const TemporaryFolder folder;
    Screen screen(100);
    bool told = false;
    std::string live;
    const int code = on_terminal(evolve(folder, "--archive 0.2 --generations 1000000"), screen, 100, [&](pid_t child) {
        const std::string now = screen.text();
        if (told || now.find("generation 1") == std::string::npos || now.find("█") == std::string::npos) return;
        live = now;
        told = true;
        ::kill(child, SIGINT);
    });
    CHECK(code == 130);
    CHECK_THAT(live, ContainsSubstring("evolve micro [") && ContainsSubstring(" % ETA ") &&
                         ContainsSubstring("best train 0.") && ContainsSubstring("valid 0.") &&
                         ContainsSubstring("valid: start 0.") && ContainsSubstring(", best published 0.") &&
                         ContainsSubstring(", oracle 0.") && ContainsSubstring(", gap closed ") &&
                         ContainsSubstring(" formulas/s, ") && ContainsSubstring(" % duplicates") &&
                         ContainsSubstring("archive of "));
    const std::string left = screen.text();
    CHECK_THAT(left, ContainsSubstring("evictlab: stopped after generation") && !ContainsSubstring("formulas/s") &&
                         !ContainsSubstring("ETA"));
    CHECK(screen.unknown.empty());
}

TEST_CASE("a generation that takes long shows that it is being made") {
    const TemporaryFolder folder;
    Screen screen(100);
    bool told = false;
    const int code = on_terminal(evolve(folder, "--verdict 'exec sleep 600'"), screen, 100, [&](pid_t child) {
        if (told || screen.text().find("generation 0 is being made") == std::string::npos) return;
        told = true;
        ::kill(child, SIGINT);
    });
    CHECK(told);
    CHECK(code == 130);
    CHECK_THAT(screen.text(), !ContainsSubstring("being made"));
}

TEST_CASE("a resumed run shows the generation that it goes on from, and tells no champion twice") {
    const TemporaryFolder folder;
    const std::string run = "cd '" + folder.path.string() + "' && exec '" EVICTLAB_BINARY "' evolve --state run.json ";
    const std::string slow = "--suite micro --population 60000 --tuned 0 --generations 0"; // seconds each
    Screen first(200), screen(200);
    REQUIRE(on_terminal(run + slow, first, 200) == 0);
    bool told = false;
    on_terminal(run + "--resume --generations 1000000", screen, 200, [&](pid_t child) {
        if (told || screen.text().find("best train") == std::string::npos) return;
        told = true;
        ::kill(child, SIGINT);
    });
    CHECK_THAT(screen.received,
               ContainsSubstring("generation 0, best train") && !ContainsSubstring("generation 0: champion"));
}

TEST_CASE("a live view fits a narrow terminal, and goes before the outcome is told") {
    bool drawn = false;
    for (int seconds = 2; !drawn && seconds < 200; seconds *= 4) { // until the machine is fast enough to draw one
        const TemporaryFolder folder;
        Screen screen(30);
        const std::string run = evolve(folder, "--max-seconds " + std::to_string(seconds) + " 2>&1 >/dev/null");
        const int code = on_terminal(
            run, screen, 30, [&](pid_t) { drawn = drawn || screen.text().find("best train") != std::string::npos; });
        CHECK(code == 0);
        CHECK_FALSE(screen.wrapped());
        CHECK(screen.text().empty());
    }
    CHECK(drawn);
}

TEST_CASE("an error takes the live view away before it is told") {
    const TemporaryFolder folder;
    Screen screen(200);
    const int code = on_terminal(evolve(folder, "--max-seconds 600"), screen, 200, [&](pid_t) {
        if (screen.text().find("best train") == std::string::npos) return;
        std::error_code ignored;
        std::filesystem::remove(folder / "run.json.lock", ignored); // which the next save misses
    });
    CHECK(code == 1);
    CHECK_THAT(screen.text(), ContainsSubstring("was removed or replaced") && !ContainsSubstring("best train"));
}

TEST_CASE("a terminal without moves gets plain lines") {
    const TemporaryFolder folder;
    Screen screen(200);
    CHECK(on_terminal("export TERM=dumb; " + evolve(folder, "--generations 2"), screen, 200) == 0);
    CHECK_THAT(screen.text(), !ContainsSubstring("best train") && ContainsSubstring("stopped     generations: 2"));
    CHECK(screen.unknown.empty());
}

TEST_CASE("help fits its terminal") {
    Screen all(80), one(90);
    CHECK(on_terminal("'" EVICTLAB_BINARY "' help", all, 80) == 0);
    CHECK_FALSE(all.wrapped());
    CHECK_THAT(all.text(), ContainsSubstring("  completion  what shells complete"));
    CHECK(on_terminal("'" EVICTLAB_BINARY "' help completion", one, 90) == 0);
    CHECK_FALSE(one.wrapped());
    CHECK_THAT(one.text(),
               ContainsSubstring("Usage: evictlab completion bash|zsh|fish|man\n\nPrints what a shell needs") &&
                   ContainsSubstring("An\ninstallation has all four where shells and man look for them.\n"));
}

TEST_CASE("plugins and columns fit their terminal") {
    for (const std::string what : {"", " describe snapkv", " columns"}) {
        INFO(what);
        Screen screen(80);
        CHECK(on_terminal("'" EVICTLAB_BINARY "' plugins" + what, screen, 80) == 0);
        CHECK_FALSE(screen.wrapped());
        CHECK_THAT(screen.text(), ContainsSubstring(what.empty() ? "No room for: from, columns, version, parameters."
                                                    : what == " columns" ? "\nis_sink              1 for the first four"
                                                                         : "\npreset      kvpress: "));
    }
}

TEST_CASE("a run's log fits its terminal") {
    const TemporaryFolder folder;
    Screen run(60), log(60);
    REQUIRE(on_terminal(evolve(folder, "--start 'if(is_sink, keep, recent_attn + 0.5*cumulative_attn + 0.25*key_norm)' "
                                       "--generations 1 >run.txt 2>&1"),
                        run, 60) == 0);
    CHECK(on_terminal("cd '" + folder.path.string() + "' && exec '" EVICTLAB_BINARY "' log run.json", log, 60) == 0);
    CHECK_FALSE(log.wrapped());
    CHECK_THAT(log.text(), ContainsSubstring("\n  if(is_sink, keep, ") && ContainsSubstring("\n    "));
}

TEST_CASE("a bench's table fits its terminal, and has colour where that is wanted") {
    const std::string bench =
        "'" EVICTLAB_BINARY "' bench --suite micro --seq-len 24 --layers 2 --patterns 1 --scorers "
        "'=if(position < 4, keep, cumulative_attn + 0.3*recent_attn)'";
    Screen narrow(60), wide(200);
    CHECK(on_terminal("NO_COLOR=1 " + bench, narrow, 60, [](pid_t) {}) == 0);
    CHECK_FALSE(narrow.wrapped());
    CHECK_THAT(narrow.text(), ContainsSubstring(" is =if(position < 4, keep,") &&
                                  ContainsSubstring("No room for: kind,") && ContainsSubstring("oracle") &&
                                  ContainsSubstring("valid"));
    CHECK_THAT(narrow.received, !ContainsSubstring("\033[1m"));
    CHECK(on_terminal("unset NO_COLOR; " + bench, wide, 200, [](pid_t) {}) == 0);
    CHECK_THAT(wide.received, ContainsSubstring("\033[1m rank") && ContainsSubstring("\033[2mbound  oracle"));
    CHECK_THAT(wide.text(), ContainsSubstring("formula") && !ContainsSubstring("No room for"));
    Screen asked(60);
    CHECK(on_terminal(bench + " --wide", asked, 60, [](pid_t) {}) == 0);
    CHECK_THAT(asked.text(), !ContainsSubstring("No room for"));
}
