"""Many judges behind one: evictlab-farm."""
# SPDX-License-Identifier: MIT
