"""When a cache of fixed size is cut while the model goes on. docs/verdict.md has the table."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from dataclasses import dataclass

from evictlab_tools.errors import UsageError

RULES = ("every", "slack", "decoding_press", "once", "turns")
COUNTED = {"every": 1, "slack": 128, "decoding_press": 512}  # rules that have an interval, and the usual one
# Published schedules, in these words: TOVA and H2O cut at every step, R-KV and TriAttention every 128 tokens.
METHODS = {"tova": "every:1", "h2o": "every:1", "rkv": "every:128", "triattention": "slack:128"}
NEVER = 0  # a capacity that cuts nothing
LARGEST = 1_000_000


@dataclass(frozen=True)
class Schedule:
    """A cut leaves as many tokens as the cache has cells, where there are more."""

    rule: str = "every"
    interval: int = 1

    @property
    def text(self) -> str:
        return f"{self.rule}:{self.interval}" if self.rule in COUNTED else self.rule

    @property
    def cuts_prompt(self) -> bool:
        """At its end. kvpress's DecodingPress leaves a prompt to another press."""
        return self.rule != "decoding_press"

    def due(self, step: int, cached: int, capacity: int, ends_turn: bool) -> bool:
        """After token number `step` behind the prompt, the first being 0, with `cached` tokens a head."""
        if self.rule == "slack":
            return cached >= capacity + self.interval
        if self.rule in COUNTED:
            return (step + 1) % self.interval == 0
        return self.rule == "turns" and ends_turn


def parse_schedule(text: str) -> Schedule:
    rule, colon, number = METHODS.get(text, text).partition(":")
    if rule not in RULES or (colon and rule not in COUNTED):
        counted = ", ".join(f"{name}:N" for name in COUNTED)
        raise UsageError(f"--schedule {text}: there are {counted}, once, turns, and {', '.join(METHODS)}")
    if rule not in COUNTED:
        return Schedule(rule, 0)
    if not colon:
        return Schedule(rule, COUNTED[rule])
    if not number.isascii() or not number.isdigit() or not 1 <= int(number) <= LARGEST:
        raise UsageError(f"--schedule {text}: N is a number of tokens, from 1 to {LARGEST}")
    return Schedule(rule, int(number))
