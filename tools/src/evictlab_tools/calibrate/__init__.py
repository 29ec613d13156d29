"""evictlab-calibrate: what is learned once of a model's layers and heads."""
# SPDX-License-Identifier: MIT
