"""Searches whose parts are killed and hung at random moments end as one that was left alone. scripts/check-faults also
cuts cables, kills Ray, and goes on for longer."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import subprocess
import sys

import check_faults
import pytest
from fault_processes import Process, all_end, kill_all, marked

from evictlab_tools.binding import Library, find_library


@pytest.mark.slow
def test_five_faults_leave_the_same_bits() -> None:
    program = str(Library(find_library()).program)
    command = [sys.executable, check_faults.__file__, program, "--times", "5", "--places", "local"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\n5 faults in " in done.stdout


def test_processes_are_known_by_their_mark_and_no_others_are_killed() -> None:
    sleeping = ["sleep", "600"]
    ours, other = (subprocess.Popen(sleeping, env={"MARK": value}) for value in ("ours", "ours, too"))
    assert marked("MARK=ours") == [Process(ours.pid, ("sleep", "600"))] == all_end("MARK=ours", 0)
    kill_all("MARK=ours")
    assert ours.wait() == -9 and other.poll() is None and not marked("MARK=ours")
    other.kill()
    other.wait()
