"""Text from outside, as the tools show it; files that are none."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from evictlab_tools.errors import ToolError, run_command
from evictlab_tools.files import read_bytes, read_json, write_whole
from evictlab_tools.shown import shown

HOSTILE = {
    "\x1b[31mred": "\\x1b[31mred",
    "\x9b31m": "\\u009b31m",
    "a\nb\tc\r\x00": "a\\nb\\tc\\r\\x00",
    "\u202eexe": "\\u202eexe",
    "zero\u200bwidth\u2028": "zero\\u200bwidth\\u2028",
    "tag\U000e0041": "tag\\U000e0041",
    b"bad\xff".decode(errors="surrogateescape"): "bad\\xff",
    "\u3164filler": "\\u3164filler",
    "\u0301x": "\\u0301x",
    "none\U0010ffff": "none\\U0010ffff",
}


@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_terminal_would_obey_is_escaped(text: str) -> None:
    assert shown(text) == HOSTILE[text]
    assert shown(shown(text)) == shown(text)


def test_plain_text_stays_what_it_is() -> None:
    text = "h2o@seed é 層 😀 ½ e\u0301"
    assert shown(text) == text
    assert shown("a\nb\tc\x07", lines=True) == "a\nb c\\x07"


def test_an_error_is_told_in_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise ToolError("a file named \x1b[2J")

    assert run_command(fail) == 1
    assert capsys.readouterr().err == "error: a file named \\x1b[2J\n"


def test_devices_and_folders_are_no_files(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="is a device or socket, not a file"):
        read_bytes(Path("/dev/zero"))
    with pytest.raises(ToolError, match="is a folder, not a file"):
        read_json(tmp_path)
    (tmp_path / "large").write_bytes(b"x" * 2048)
    with pytest.raises(ToolError, match="larger than 0 MiB"):
        read_bytes(tmp_path / "large", most=1024)
    os.mkfifo(tmp_path / "fifo")
    with subprocess.Popen(["sh", "-c", f"echo '[1]' > '{tmp_path}/fifo'"]):
        assert read_json(tmp_path / "fifo") == [1]


def test_a_limit_on_the_size_of_files_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    script = (
        "import resource, sys; from pathlib import Path; from evictlab_tools.files import write_whole\n"
        "from evictlab_tools.errors import run_command\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "sys.exit(run_command(lambda: write_whole(Path(sys.argv[1]), b'x' * 5000)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "out")], check=False, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr == f"error: {tmp_path / 'out'}: cannot be written: File too large\n"
    assert list(tmp_path.iterdir()) == []
    write_whole(tmp_path / "out", b"fits")


def test_what_nobody_foresaw_is_one_line_without_a_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RuntimeError("out of memory\nmore")

    monkeypatch.delenv("EVICTLAB_TRACEBACK", raising=False)
    assert run_command(fail) == 1
    assert "error: RuntimeError: out of memory (EVICTLAB_TRACEBACK=1 shows where)\n" in capsys.readouterr().err
    monkeypatch.setenv("EVICTLAB_TRACEBACK", "1")
    with pytest.raises(RuntimeError):
        run_command(fail)
