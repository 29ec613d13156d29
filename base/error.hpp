// Errors of setting up and of wrong use. Hot paths report through return values and never throw.
// SPDX-License-Identifier: MIT
#pragma once
#include <stdexcept>
#include <string>

namespace evictlab {

/// Something failed: a file, a plugin, a suite. The text says what happened, where, and what to do. Exit code 1.
struct Error : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// The caller asked for something that cannot be: an unknown name, a value out of range. Exit code 2.
struct UsageError : Error {
    using Error::Error;
};

/// Somebody asked to stop, by the flag that was handed in. Exit code 130.
struct Interrupted : Error {
    using Error::Error;
};

} // namespace evictlab
