"""A formula's constants, tuned by gradients of the model's KL divergence: evictlab-tune."""
# SPDX-License-Identifier: MIT
