"""Tasks: examples whose answers are known, and what eviction leaves of the answers: evictlab-tasks."""
# SPDX-License-Identifier: MIT
