"""Scorers that are Python's own: any press of kvpress, and any function of queries, keys and values."""
# SPDX-License-Identifier: MIT
