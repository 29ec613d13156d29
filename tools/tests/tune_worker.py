"""A worker of tuning as a program: evictlab-tune INPUT... --serve, of a tiny random model."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import sys
from functools import partial

from conftest import make_source

from evictlab_tools.errors import run_command
from evictlab_tools.tuning import command

if __name__ == "__main__":
    vars(command)["open_model"] = lambda *_: make_source("llama")
    sys.exit(run_command(partial(command.command, ["tiny", *sys.argv[1:], "--serve", "--threads", "1"])))
