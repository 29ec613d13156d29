"""evictlab-farm: many judges behind one."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

from evictlab_tools.errors import run_command
from evictlab_tools.farm.farm import Farm, Stopped, tell
from evictlab_tools.farm.options import commands_of, parser, settings_of
from evictlab_tools.farm.pipes import Signals
from evictlab_tools.lines import own_stdout


def command(arguments: Sequence[str] | None = None) -> None:
    given = parser().parse_args(arguments)
    settings = settings_of(given)
    commands = commands_of(given)
    with own_stdout() as answers, Signals() as signals:
        farm = Farm(commands, settings, 0, answers.descriptor)
        gently = False
        try:
            farm.run(signals)
            gently = True
        except Stopped as stopped:
            _stop(stopped.number)
        finally:
            farm.close(signals, gently=gently)


def _stop(number: int) -> None:
    if number == 0:
        tell("nobody reads the answers any more")
    elif number == signal.SIGINT:
        raise KeyboardInterrupt
    else:
        tell(f"stopped by signal {number} ({signal.strsignal(number)})")
        sys.exit(128 + number)


def main() -> None:
    sys.exit(run_command(command, "evolve goes on from there by --resume"))
