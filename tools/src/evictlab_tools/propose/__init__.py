"""Formulas proposed by a language model behind a chat-completions endpoint: evictlab-propose."""
# SPDX-License-Identifier: MIT
