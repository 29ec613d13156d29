"""Errors as users see them: what happened, where, what to do."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import sys
from collections.abc import Callable


class ToolError(Exception):
    """Something is wrong with what was given or found; exit code 1."""


class UsageError(ToolError):
    """The command was used wrongly; exit code 2."""


def run_command(command: Callable[[], None], stopped: str = "the same command goes on from here") -> int:
    """Runs a command and returns its exit code, its errors printed as one line. `stopped` is what Ctrl-C leaves."""
    try:
        command()
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (ToolError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"stopped; {stopped}", file=sys.stderr)
        return 130
    return 0
