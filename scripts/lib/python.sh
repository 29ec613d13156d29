# The Python tools: build/venv with what tools/constraints.txt pins. To be sourced after setup.sh.
# SPDX-License-Identifier: MIT
# shellcheck shell=bash

venv="$root/build/venv"

# Creates or renews build/venv; quick where neither the pins nor the Python changed. Plain pip, so its own settings
# (PIP_EXTRA_INDEX_URL, say, for an index with CPU builds of torch) work.
python_environment() {
    if command -v dpkg-query >/dev/null && ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
        apt_install python3-venv
    fi
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' || die "the Python tools need Python 3.10 or newer"
    local stamp="$venv/pins.sha256" wanted
    wanted=$({
        cat "$root/tools/constraints.txt" "$root/tools/pyproject.toml"
        python3 -VV
        printf '%s\n' "$root"
    } | sha256sum | cut -d' ' -f1)
    if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then return 0; fi
    say "installing the Python tools in build/venv"
    rm -f "$stamp"
    quietly venv python3 -m venv --clear "$venv"
    quietly pip "$venv/bin/python" -m pip install --disable-pip-version-check \
        -c "$root/tools/constraints.txt" -e "$root/tools[dev]"
    printf '%s\n' "$wanted" >"$stamp"
}

# A browser for the tests of pages; they are skipped where a distribution has none as a package of its own.
browser_for_pages() {
    if command -v chromium >/dev/null || ! command -v apt-cache >/dev/null; then return 0; fi
    if apt-cache show chromium >/dev/null 2>&1; then apt_install chromium; fi
}

# ruff, mypy and the quick tests of the tools.
check_python_tools() {
    python_environment
    browser_for_pages
    say "checking the Python tools"
    cd "$root/tools"
    quietly ruff "$venv/bin/ruff" check
    quietly ruff-format "$venv/bin/ruff" format --check
    quietly mypy "$venv/bin/mypy"
    quietly pytest "$venv/bin/pytest"
    cd "$root"
    printf 'Python tools: %s\n' "$(tail -n 1 "$logs/pytest.log")"
}
