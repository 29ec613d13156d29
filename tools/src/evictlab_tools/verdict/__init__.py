"""The model's own verdict on what a scorer keeps: evictlab-verdict."""
# SPDX-License-Identifier: MIT
