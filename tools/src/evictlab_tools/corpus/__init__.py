"""The texts of the suites that scripts/capture-suite makes: where they come from, and how they become plain text."""
# SPDX-License-Identifier: MIT
