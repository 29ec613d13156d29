// Reading what somebody named: files, pipes within limits, and a plain refusal of all that is neither.
// SPDX-License-Identifier: MIT
#include "base/input/input.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "base/digest/digest.hpp"
#include "base/input/stop.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temporary_folder.hpp"

namespace evictlab::input {
namespace {

using namespace std::chrono_literals;
using test::TemporaryFolder;

constexpr std::uint64_t most = std::uint64_t{1} << 20;

std::string refusal(const std::filesystem::path& path, Accept accept = Accept::files_and_pipes) {
    try {
        read_whole(path, most, accept);
    } catch (const Problem& problem) {
        return problem.what();
    }
    return "read";
}

struct AskedToStop {
    AskedToStop() { stop_requested() = true; }
    ~AskedToStop() { stop_requested() = false; }
};

} // namespace

TEST_CASE("a file is read whole, also through a link") {
    const TemporaryFolder folder;
    const std::string content = std::string(200'000, 'x') + '\0' + "end";
    test::put(folder / "file", content);
    std::filesystem::create_symlink(folder / "file", folder / "link");
    CHECK(read_whole(folder / "file", most, Accept::files) == content);
    CHECK(read_whole(folder / "link", most, Accept::files) == content);
    CHECK(read_whole("/proc/self/status", most, Accept::files).starts_with("Name:")); // whose size is said to be 0
}

TEST_CASE("what is no file is refused by what it is, and a device is never opened") {
    const TemporaryFolder folder;
    CHECK(refusal(folder.path) == "is a folder, not a file");
    CHECK(refusal("/dev/zero") == "is a device, not a file");
    CHECK(refusal("/dev/tty") == "is a device, not a file");
    CHECK(refusal("/dev/null") == "is a device, not a file");
    CHECK(refusal(folder / "nothing") == "cannot be read: No such file or directory");
    const int listener = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{AF_UNIX, {}};
    const std::string name = (folder / "socket").string();
    REQUIRE(name.size() < sizeof address.sun_path);
    name.copy(address.sun_path, name.size());
    REQUIRE(::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    CHECK(refusal(folder / "socket") == "is a socket, not a file");
    ::close(listener);
    REQUIRE(::mkfifo((folder / "fifo").c_str(), 0600) == 0);
    CHECK(refusal(folder / "fifo", Accept::files) == "is a pipe, but must be a regular file");
}

TEST_CASE("a file beyond its limit is refused at once, whatever its size") {
    const TemporaryFolder folder;
    test::put(folder / "sparse", "");
    std::filesystem::resize_file(folder / "sparse", std::uintmax_t{1} << 42);
    CHECK(refusal(folder / "sparse") == "larger than 1 MiB: not a file of ours");
}

TEST_CASE("a pipe is read to its end, and not beyond its limit") {
    const TemporaryFolder folder;
    const auto fifo = folder / "fifo";
    REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
    std::thread late([&] {
        std::this_thread::sleep_for(300ms); // the reader comes first
        test::put(fifo, std::string(300'000, 'y'));
    });
    CHECK(read_whole(fifo, most, Accept::files_and_pipes) == std::string(300'000, 'y'));
    late.join();
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const std::string named = "/dev/fd/" + std::to_string(ends[0]); // as a shell's <(...)
    REQUIRE(::write(ends[1], "from a shell", 12) == 12);
    ::close(ends[1]);
    CHECK(read_whole(named, most, Accept::files_and_pipes) == "from a shell");
    ::close(ends[0]);
    std::thread endless([&] {
        const int to = ::open(fifo.c_str(), O_WRONLY);
        const std::string block(100'000, 'z');
        for (int i = 0; i < 11; ++i) (void)!::write(to, block.data(), block.size());
        ::close(to);
    });
    const Input keeps_it_open(fifo, Accept::files_and_pipes);
    CHECK(refusal(fifo) == "larger than 1 MiB: not a file of ours");
    std::thread drain([&] {
        std::string block(1 << 16, '\0');
        Input& from = const_cast<Input&>(keeps_it_open);
        while (from.read(block) > 0) {
        }
    });
    endless.join();
    drain.join();
}

TEST_CASE("a wait ends when the program is asked to stop") {
    const TemporaryFolder folder;
    REQUIRE(::mkfifo((folder / "fifo").c_str(), 0600) == 0);
    test::put(folder / "sparse", "");
    std::filesystem::resize_file(folder / "sparse", std::uintmax_t{1} << 42);
    const AskedToStop asked;
    CHECK_THROWS_AS(read_whole(folder / "fifo", most, Accept::files_and_pipes), Stopped);
    CHECK_THROWS_AS(sha256_hex_of_file(folder / "sparse"), Stopped);
}

TEST_CASE("a file's SHA-256 is that of its bytes, and there is none of what is no file") {
    const TemporaryFolder folder;
    const std::string content(3'000'000, 'q');
    test::put(folder / "file", content);
    CHECK(sha256_hex_of_file(folder / "file") == sha256_hex(content));
    test::put(folder / "empty", "");
    CHECK(sha256_hex_of_file(folder / "empty") == sha256_hex(""));
    CHECK_FALSE(sha256_hex_of_file("/dev/zero"));
    CHECK_FALSE(sha256_hex_of_file(folder.path));
    CHECK_FALSE(sha256_hex_of_file(folder / "nothing"));
}

} // namespace evictlab::input
