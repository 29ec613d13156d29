"""Tuning as a program, of a tiny random model: evictlab-tune INPUT... OPTION..., as with --serve that of a worker."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import sys
from functools import partial

from conftest import make_source

from evictlab_tools.tuning import command

if __name__ == "__main__":
    vars(command)["open_model"] = lambda *_: make_source("llama")
    vars(command)["command"] = partial(command.command, ["tiny", *sys.argv[1:]])
    command.main()
