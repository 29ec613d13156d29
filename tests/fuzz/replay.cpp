// Runs a fuzz target without libFuzzer, for the tests: every file of a corpus, and seeded mutations of them.
//   replay_TARGET CORPUS-FOLDER [MUTATIONS [SEED]]
// Where an input breaks the target, a copy of it is left as broken-TARGET-input in the build folder.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <random>
#include <unistd.h>
#include <vector>

#include "tests/fuzz/target.hpp"

namespace {

namespace fs = std::filesystem;
using Bytes = std::vector<std::uint8_t>;

const Bytes* current = nullptr; // for the signal handler

void leave_input(int signal) {
    const int file = ::open(FUZZ_BROKEN_INPUT, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (file >= 0 && current && ::write(file, current->data(), current->size()) >= 0) ::close(file);
    std::signal(signal, SIG_DFL);
    ::raise(signal);
}

void run(const Bytes& input) {
    current = &input;
    try {
        LLVMFuzzerTestOneInput(input.data(), input.size());
    } catch (const std::exception& error) {
        std::fprintf(stderr, "an exception that is no error of ours: %s\n", error.what());
        std::abort();
    }
}

std::vector<Bytes> corpus_of(const fs::path& folder) {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
    std::ranges::sort(files);
    std::vector<Bytes> corpus;
    for (const fs::path& file : files) {
        std::ifstream in(file, std::ios::binary);
        corpus.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
    }
    return corpus;
}

class Mutator {
public:
    Mutator(const std::vector<Bytes>& corpus, std::uint32_t seed) : corpus_(corpus), random_(seed) {}

    Bytes next() {
        Bytes input = corpus_[below(corpus_.size())];
        for (std::size_t times = 1 + below(4); times > 0; --times) mutate(input);
        return input;
    }

private:
    std::size_t below(std::size_t bound) { return random_() % std::max<std::size_t>(bound, 1); }
    Bytes part_of(const Bytes& bytes) {
        const std::size_t begin = below(bytes.size() + 1), end = begin + below(bytes.size() - begin + 1);
        return {bytes.begin() + static_cast<std::ptrdiff_t>(begin), bytes.begin() + static_cast<std::ptrdiff_t>(end)};
    }
    void mutate(Bytes& input) {
        const auto at = input.begin() + static_cast<std::ptrdiff_t>(below(input.size() + 1));
        const auto most = static_cast<std::size_t>(input.end() - at);
        static constexpr std::string_view telling = "\"\\{}[](),:=-+.e0919\n#@\xff\x80";
        switch (below(7)) {
        case 0:
            if (most > 0) *at = static_cast<std::uint8_t>(random_());
            break;
        case 1:
            if (most > 0) *at = static_cast<std::uint8_t>(*at ^ (1u << below(8)));
            break;
        case 2:
            input.erase(at, at + static_cast<std::ptrdiff_t>(below(std::min<std::size_t>(most, 32) + 1)));
            break;
        case 3:
            input.insert(at, static_cast<std::uint8_t>(telling[below(telling.size())]));
            break;
        case 4: {
            const Bytes part = part_of(corpus_[below(corpus_.size())]);
            input.insert(at, part.begin(), part.end());
            break;
        }
        case 5:
            input.insert(at, 1 + below(200), most > 0 ? *at : std::uint8_t{'('});
            break;
        default:
            input.resize(static_cast<std::size_t>(at - input.begin()));
        }
        if (input.size() > 1 << 16) input.resize(1 << 16);
    }

    const std::vector<Bytes>& corpus_;
    std::mt19937 random_;
};

std::uint32_t number(const char* text) {
    std::uint32_t value = 0;
    std::from_chars(text, text + std::strlen(text), value);
    return value;
}

} // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        std::fprintf(stderr, "usage: %s CORPUS-FOLDER [MUTATIONS [SEED]]\n", argv[0]);
        return 2;
    }
    for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGALRM}) std::signal(signal, leave_input);
    const std::vector<Bytes> corpus = corpus_of(argv[1]);
    if (corpus.empty()) {
        std::fprintf(stderr, "no corpus in %s\n", argv[1]);
        return 1;
    }
    const std::uint32_t mutations = argc > 2 ? number(argv[2]) : 0;
    Mutator mutator(corpus, argc > 3 ? number(argv[3]) : 1);
    for (const Bytes& input : corpus) run(input);
    for (std::uint32_t i = 0; i < mutations; ++i) {
        ::alarm(60); // an input that hangs is a finding, too
        run(mutator.next());
    }
    std::printf("%s: %zu inputs of the corpus, %u mutations of them\n", FUZZ_TARGET, corpus.size(), mutations);
    return 0;
}
