"""Where the commands that need torch begin: their options are read first, so that --help, --version and wrong options
need not wait for it."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from importlib import import_module

from evictlab_tools import capture_options, press_cost_options
from evictlab_tools.memory import options as memory_options
from evictlab_tools.tasks import options as tasks_options
from evictlab_tools.tuning import options as tuning_options
from evictlab_tools.verdict import options as verdict_options


def capture() -> None:
    capture_options.parser().parse_args()
    import_module("evictlab_tools.capture").main()


def memory() -> None:
    memory_options.parser().parse_args()
    import_module("evictlab_tools.memory.command").main()


def press_cost() -> None:
    press_cost_options.parser().parse_args()
    import_module("evictlab_tools.press_cost").main()


def tasks() -> None:
    tasks_options.parser().parse_args()
    import_module("evictlab_tools.tasks.command").main()


def tune() -> None:
    tuning_options.parser().parse_args()
    import_module("evictlab_tools.tuning.command").main()


def verdict() -> None:
    verdict_options.parser().parse_args()
    import_module("evictlab_tools.verdict.command").main()
