// evictlab-worker HOST: the process that runs a plugin, started by evictlab alone. A program of its own because it is
// started often, and what evictlab links takes several times as long to load. SPDX-License-Identifier: MIT
#include <charconv>
#include <cstdio>
#include <string_view>

#include "isolation/worker/worker.hpp"

int main(int argc, char** argv) {
    const std::string_view host = argc == 2 ? argv[1] : "";
    pid_t number = 0;
    const auto [end, error] = std::from_chars(host.data(), host.data() + host.size(), number);
    if (host.empty() || error != std::errc{} || end != host.data() + host.size()) {
        (void)std::fputs("evictlab-worker is for evictlab's own use: it runs plugins (--isolate)\n", stderr);
        return 2;
    }
    evictlab::isolation::run_worker(number);
}
