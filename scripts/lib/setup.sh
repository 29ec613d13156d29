# What the scripts share: a place that has everything, and a build in build/release. To be sourced.
# SPDX-License-Identifier: MIT
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build="$root/build/release"
evictlab="$build/bin/evictlab"
logs="$root/build/logs"

packages=(cmake ninja-build libboost-dev libboost-filesystem-dev libboost-program-options-dev
    libboost-serialization-dev nlohmann-json3-dev catch2 libtbb-dev libfmt-dev libssl-dev libeigen3-dev
    libpagmo-dev librandom123-dev libbenchmark-dev libseccomp-dev libutf8proc-dev gnuplot-nox)

say() { printf '%s\n' "$*" >&2; }

die() {
    say "error: $*"
    exit 1
}

# quietly NAME COMMAND...: the command's output goes to build/logs/NAME.log, and is shown only if the command fails.
quietly() {
    local log="$logs/$1.log"
    shift
    mkdir -p "$logs"
    if ! "$@" >"$log" 2>&1 </dev/null; then
        tail -n 60 "$log" >&2
        die "failed: $* (all of it: $log)"
    fi
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif [ -t 0 ]; then
        sudo "$@"
    else
        sudo -n "$@" # never waits for a password that nobody can type
    fi
}

apt_install() {
    command -v sudo >/dev/null || [ "$(id -u)" -eq 0 ] ||
        die "missing packages, and neither root nor sudo to install them with: $*"
    if [ "$(id -u)" -ne 0 ] && [ -t 0 ]; then sudo -v; fi
    say "installing: $*"
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -y -o DPkg::Lock::Timeout=300)
    quietly apt-update as_root "${apt[@]}" update
    quietly apt-install as_root "${apt[@]}" install --no-install-recommends "$@"
}

installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

new_enough() { command -v "$1" >/dev/null && [ "$("$1" -dumpversion | cut -d. -f1)" -ge 12 ]; }

# Sets CC and CXX to a compiler that knows C++20 well enough, unless the caller chose one.
choose_compiler() {
    if [ -n "${CXX:-}" ] || new_enough g++; then return 0; fi
    local version
    for version in 14 13 12; do
        if new_enough "g++-$version"; then
            export CC="gcc-$version" CXX="g++-$version"
            return 0
        fi
    done
    return 1
}

install_missing() {
    if ! command -v dpkg-query >/dev/null; then
        local tool
        for tool in cmake ninja; do
            command -v "$tool" >/dev/null || die "$tool is missing; this is not Debian or Ubuntu, so install by hand: \
g++ 12 or newer, CMake 3.22, Ninja, Boost 1.74 (filesystem, program_options, serialization), nlohmann-json 3.10, \
Catch2, TBB, fmt, OpenSSL, Eigen 3, pagmo 2, Random123, utf8proc, Google Benchmark and libseccomp"
        done
        choose_compiler || die "no g++ 12 or newer: install one, or name a compiler in CXX"
        return 0
    fi
    local missing=() package
    for package in "${packages[@]}"; do installed "$package" || missing+=("$package"); done
    if ! choose_compiler; then
        # Where the distribution's own compiler is older (Ubuntu 22.04), its g++-12 package has what is needed.
        if command -v g++ >/dev/null || grep -qs 'VERSION_ID="22.04"' /etc/os-release; then
            missing+=(g++-12)
        else
            missing+=(g++)
        fi
    fi
    if [ ${#missing[@]} -gt 0 ]; then apt_install "${missing[@]}"; fi
    choose_compiler || die "no g++ 12 or newer on this system, and none among its packages; name a compiler in CXX"
}

configure() {
    cd "$root"
    local options=(-DEVICTLAB_TESTS=ON -DEVICTLAB_BENCH=ON)
    # Newer compilers warn of more; only the checks of the project itself should stop at that.
    if [ -n "${CI:-}" ]; then options+=(-DEVICTLAB_WERROR=ON); else options+=(-DEVICTLAB_WERROR=OFF); fi
    if command -v ccache >/dev/null; then
        options+=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
    fi
    quietly configure cmake --preset release "${options[@]}"
}

# As many compilers at once as there are cores, but no more than memory holds (1.5 GiB each).
jobs_that_fit() {
    local cores memory
    cores=$(nproc)
    memory=$(awk '/^MemAvailable:/ { print int($2 / 1572864) }' /proc/meminfo 2>/dev/null || true)
    if [ -n "$memory" ] && [ "$memory" -lt "$cores" ]; then cores=$memory; fi
    if [ "$cores" -lt 1 ]; then cores=1; fi
    printf '%s' "$cores"
}

# build_targets TARGET...
build_targets() { quietly "build-$1" cmake --build "$build" --parallel "$(jobs_that_fit)" --target "$@"; }

# Everything that building needs, and build/release configured.
prepare() {
    [ "$(uname -s)" = Linux ] || die "Evictlab runs on Linux; this is $(uname -s)"
    install_missing
    configure
}
