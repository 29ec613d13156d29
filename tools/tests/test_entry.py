"""Commands as an installation starts them: what needs no model answers without waiting for torch."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from evictlab_tools import __version__

PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
SCRIPTS = dict(re.findall(r'^(evictlab-[a-z-]+) = "(.*)"$', PROJECT.read_text("utf-8"), re.MULTILINE))
START = """
import importlib, sys
module, function = sys.argv.pop(1).split(":")
sys.argv[0] = sys.argv.pop(1)
try:
    getattr(importlib.import_module(module), function)()
finally:
    assert not {"torch", "transformers"} & set(sys.modules), "slow to import"
"""


def start(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", START, SCRIPTS[program], program, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_all_commands_are_known() -> None:
    names = ["ablation", "calibrate", "capture", "corpus", "farm", "memory", "press-cost", "propose", "tasks", "tune"]
    names.append("verdict")
    assert sorted(SCRIPTS) == [f"evictlab-{name}" for name in names]


@pytest.mark.parametrize("program", SCRIPTS)
def test_help_version_and_wrong_options_do_not_wait_for_torch(program: str) -> None:
    version = start(program, "--version")
    assert (version.returncode, version.stdout) == (0, f"{program} {__version__}\n"), version.stderr
    shown = start(program, "--help")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith(f"usage: {program} ")
    wrong = start(program, "--no-such-option")
    assert wrong.returncode == 2
    assert "Traceback" not in wrong.stderr


@pytest.mark.parametrize("program", ["capture", "memory", "press-cost", "tasks", "tune", "verdict"])
def test_without_torch_a_command_says_what_to_install(program: str) -> None:
    function = program.replace("-", "_")
    without = (
        f"import sys; sys.modules['torch'] = None; sys.argv = ['/bin/evictlab-{program}']\n"
        f"from evictlab_tools import entry; entry._run('{function}')"
    )
    ran = subprocess.run([sys.executable, "-c", without], capture_output=True, text=True, check=False)
    said = f"error: evictlab-{program} runs models and needs torch for it: pip install 'evictlab[torch]'\n"
    assert (ran.returncode, ran.stdout, ran.stderr) == (1, "", said)
