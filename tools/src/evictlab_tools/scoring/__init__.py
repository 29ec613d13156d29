"""Scores on the device that the model is on: docs/scoring.md."""
# SPDX-License-Identifier: MIT
