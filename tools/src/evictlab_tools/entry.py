"""Where the commands that need torch begin: their options are read first, so that --help, --version and wrong options
need not wait for it."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

from evictlab_tools import capture_options, press_cost_options
from evictlab_tools.memory import options as memory_options
from evictlab_tools.shown import complain
from evictlab_tools.tasks import options as tasks_options
from evictlab_tools.tuning import options as tuning_options
from evictlab_tools.verdict import options as verdict_options

RUNS_MODELS = ("torch", "transformers", "accelerate", "gguf", "sentencepiece")  # of the extra [torch]


COMMANDS = {
    "capture": "capture",
    "memory": "memory.command",
    "press_cost": "press_cost",
    "tasks": "tasks.command",
    "tune": "tuning.command",
    "verdict": "verdict.command",
}


def _run(command: str) -> None:
    try:
        main = import_module(f"evictlab_tools.{COMMANDS[command]}").main
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in RUNS_MODELS:
            raise
        program = Path(sys.argv[0]).name
        complain(f"error: {program} runs models and needs {error.name} for it: pip install 'evictlab[torch]'")
        sys.exit(1)
    main()


def capture() -> None:
    capture_options.parser().parse_args()
    _run("capture")


def memory() -> None:
    memory_options.parser().parse_args()
    _run("memory")


def press_cost() -> None:
    press_cost_options.parser().parse_args()
    _run("press_cost")


def tasks() -> None:
    tasks_options.parser().parse_args()
    _run("tasks")


def tune() -> None:
    tuning_options.parser().parse_args()
    _run("tune")


def verdict() -> None:
    verdict_options.parser().parse_args()
    _run("verdict")
