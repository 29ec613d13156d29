// SPDX-License-Identifier: MIT
#include "framework/plugin/loaded_library.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <link.h>

#include <atomic>
#include <boost/algorithm/string/replace.hpp>
#include <cstring>

#include "base/digest/digest.hpp"
#include "base/error.hpp"

namespace evictlab {
namespace {

/// A path to the descriptor that no other library was ever loaded by: the loader takes equal paths for equal libraries,
/// and keeps some that were closed, while numbers of descriptors are used again.
std::string path_of(int descriptor) {
    static std::atomic<unsigned> loaded{0};
    std::string path = "/proc/self/fd/";
    for (unsigned number = loaded++; number > 0; number /= 2) path += number % 2 == 0 ? "./" : ".//";
    return path + std::to_string(descriptor);
}

// Boost wraps the loader's words: "boost::dll::...: Exec format error (dlerror system message: WORDS): ...".
std::string loader_words(std::string_view message) {
    constexpr std::string_view mark = "dlerror system message: ";
    const auto begin = message.find(mark);
    if (begin == std::string_view::npos) return std::string(message);
    message.remove_prefix(begin + mark.size());
    const auto end = message.rfind(')');
    return std::string(message.substr(0, end));
}

/// The loader's own name of it stays allocated: others may be reading it.
void call_by_file(void* handle, const std::string& file) {
    link_map* map = nullptr;
    if (::dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0 && map->l_name != file) map->l_name = ::strdup(file.c_str());
}

} // namespace

std::shared_ptr<boost::dll::shared_library> load_library(const SealedLibrary& library) {
    const std::string file = library.file().string();
    const bool by_file = library.folder() >= 0 || !library.is_sealed();
    const std::string path = by_file ? file : path_of(library.descriptor());
    auto loaded = std::make_shared<boost::dll::shared_library>();
    try {
        loaded->load(path, boost::dll::load_mode::rtld_now);
    } catch (const boost::system::system_error& error) {
        throw Error("the loader refuses it: " + boost::replace_all_copy(loader_words(error.what()), path, file));
    }
    if (!by_file)
        call_by_file(loaded->native(), file);
    else if (sha256_hex_of_file(file).value_or("") != library.sha256())
        throw Error("its file changed while it was being loaded");
    return loaded;
}

} // namespace evictlab
