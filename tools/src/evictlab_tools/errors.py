"""Errors as users see them: what happened, where, what to do."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Callable

from evictlab_tools.shown import complain


class ToolError(Exception):
    """Something is wrong with what was given or found; exit code 1."""


class UsageError(ToolError):
    """The command was used wrongly; exit code 2."""


def run_command(command: Callable[[], None], stopped: str = "the same command goes on from here") -> int:
    """Runs a command and returns its exit code, its errors printed as one line. `stopped` is what Ctrl-C leaves."""
    try:
        command()
    except UsageError as error:
        complain(f"error: {error}")
        return 2
    except (ToolError, OSError) as error:
        complain(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        complain(f"stopped; {stopped}")
        return 130
    return 0
