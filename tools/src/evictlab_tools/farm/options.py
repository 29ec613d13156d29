"""The options of evictlab-farm."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import argparse
import importlib.util
import math
from collections.abc import Sequence
from typing import Any

from evictlab_tools import __version__
from evictlab_tools.errors import UsageError
from evictlab_tools.farm.introduction import PROBE
from evictlab_tools.farm.on_ray import command_of
from evictlab_tools.farm.worker import Settings

MOST_WORKERS = 1024


class _AddWorkers(argparse.Action):
    """Workers of all options in the order typed, as (option, command)."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        typed = [*(getattr(namespace, self.dest) or [])]
        number, command = ("1", values) if isinstance(values, str) else list(values or ())
        if not number.isdecimal() or not 1 <= int(number) <= MOST_WORKERS:
            parser.error(f"{option_string} {number}: not a number of workers from 1 to {MOST_WORKERS}")
        typed += [(option_string, command)] * int(number)
        setattr(namespace, self.dest, typed)


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="evictlab-farm",
        description="Many judges behind one: starts workers, each a judge of its own (as `evictlab-verdict MODEL SUITE "
        "--serve`, here or on other machines), and answers `evictlab evolve` as one judge would. The answers are the "
        "same for any number of workers, and where some are lost.",
        epilog="example: evictlab evolve --suite SUITE --state run.json --verdict \"evictlab-farm --worker 'ssh a "
        "evictlab-verdict M.gguf SUITE --serve' --worker 'ssh b evictlab-verdict M.gguf SUITE --serve'\"",
    )
    add = result.add_argument
    add("--version", action="version", version=f"%(prog)s {__version__}")
    add("--worker", action=_AddWorkers, dest="workers", metavar="COMMAND", help="a worker, for sh -c: any command "
        "that speaks evictlab-judge/1 on its standard input and output; may be repeated")  # fmt: skip
    add("--local", action=_AddWorkers, dest="workers", nargs=2, metavar=("N", "COMMAND"), help="N workers of one "
        "command; may be repeated")  # fmt: skip
    add("--ray", action=_AddWorkers, dest="workers", nargs=2, metavar=("N", "COMMAND"), help="N workers of one "
        "command, which a Ray cluster places on its nodes; may be repeated")  # fmt: skip
    add("--ray-address", default="auto", metavar="HOST:PORT", help="of the cluster (auto: the one that this machine "
        "belongs to)")  # fmt: skip
    add("--ray-cpus", type=float, default=1, metavar="N", help="that each of them asks for (1)")
    add("--ray-gpus", type=float, default=0, metavar="N", help="the same, which may be a part of one (0)")
    add("--mixed", action="store_true", help="take workers whose figures differ in their last digits: each document "
        "is then judged by one kind of them, and the judge's name has the kinds")  # fmt: skip
    add("--probe", default=PROBE, metavar="SCORER", help="the scorer by whose figures on the first document workers "
        f"are compared ('{PROBE}')".replace("%", "%%"))  # fmt: skip
    add("--restarts", type=int, default=5, metavar="N", help="times in a row, without an answer between them, that a "
        "worker that is lost is started again (5)")  # fmt: skip
    add("--restart-delay", type=float, default=1, metavar="S", help="seconds before that, twice as many at each time "
        "in a row, up to 60 (1)")  # fmt: skip
    add("--start-timeout", type=float, default=240, metavar="S", help="seconds that a worker may take to introduce "
        "itself and to answer the probe (240)")  # fmt: skip
    add("--worker-timeout", type=float, default=300, metavar="S", help="seconds of silence, while it is asked, after "
        "which a worker is lost (300)")  # fmt: skip
    return result


def commands_of(given: argparse.Namespace) -> list[tuple[str, str]]:
    """Of each worker, what people are shown and what is run."""
    if any(option == "--ray" for option, _ in given.workers) and importlib.util.find_spec("ray") is None:
        raise UsageError("--ray needs the package ray, which is not installed: pip install 'evictlab-tools[ray]'")

    def on_ray(command: str) -> str:
        return command_of(given.ray_address, given.ray_cpus, given.ray_gpus, command)

    return [
        (f"by Ray: {command}", on_ray(command)) if option == "--ray" else (command, command)
        for option, command in given.workers
    ]


def settings_of(given: argparse.Namespace) -> Settings:
    if not given.workers:
        raise UsageError("no worker is named: --worker COMMAND, or --local N COMMAND")
    if len(given.workers) > MOST_WORKERS:
        raise UsageError(f"{len(given.workers)} workers, and {MOST_WORKERS} are the most")
    if not given.probe:
        raise UsageError("--probe names no scorer")
    if given.restarts < 0:
        raise UsageError("--restarts is at least 0")
    for option in ("ray_cpus", "ray_gpus"):
        if not 0 <= getattr(given, option) < math.inf:
            raise UsageError(f"--{option.replace('_', '-')} is at least 0")
    for option in ("restart_delay", "start_timeout", "worker_timeout"):
        value = getattr(given, option)
        if not math.isfinite(value) or value < 0 or (value == 0 and option != "restart_delay"):
            raise UsageError(f"--{option.replace('_', '-')} is a number of seconds above 0")
    return Settings(
        given.probe, given.restarts, given.restart_delay, given.start_timeout, given.worker_timeout, given.mixed
    )
