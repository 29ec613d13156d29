"""Errors as users see them: what happened, where, what to do."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import os
from collections.abc import Callable

from evictlab_tools.shown import complain

SHOW_TRACEBACK = "EVICTLAB_TRACEBACK"


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
    except Exception as error:  # torch's and others', which have no words for users
        if os.environ.get(SHOW_TRACEBACK):
            raise
        what = str(error).strip().splitlines() or ["no more is known"]
        complain(f"error: {type(error).__name__}: {what[0]} ({SHOW_TRACEBACK}=1 shows where)")
        return 1
    return 0
