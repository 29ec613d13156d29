"""One process's share of a job's documents, --shard I/N: many, here or on other machines, do the work of one."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from pathlib import Path

from evictlab_tools.errors import UsageError

MOST = 65536
_NAME = re.compile(r"[1-9][0-9]*-of-[1-9][0-9]*")


@dataclass(frozen=True)
class Shard:
    index: int  # from 1
    count: int

    def has(self, place: int) -> bool:
        """Whether the document at this place, from 0, is its own."""
        return place % self.count == self.index - 1

    def beside(self, path: Path) -> Path:
        """Its own file in place of one that all would write."""
        return path.with_name(f"{path.name}.{self.index}-of-{self.count}")


def files_of_shards(path: Path) -> list[Path]:
    """Those that are there of any shard, whatever the number of shards was."""
    if not path.parent.is_dir():
        return []
    head = path.name + "."
    return sorted(
        each
        for each in path.parent.iterdir()
        if each.name.startswith(head) and _NAME.fullmatch(each.name[len(head) :]) and each.is_file()
    )


def add_shard_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--shard", metavar="I/N", help="do the I-th of N parts alone, from 1 on, as a task of an array "
        "of jobs does; the same command without it then puts all parts together")  # fmt: skip


def parse_shard(text: str | None) -> Shard | None:
    if text is None:
        return None
    index, slash, count = text.partition("/")
    numbers = index.isdecimal() and count.isdecimal() and len(text) < 16
    if not slash or not numbers or not 1 <= int(index) <= int(count) <= MOST:
        raise UsageError(f"--shard {text}: write I/N, the I-th of N parts, as 3/16")
    return Shard(int(index), int(count))
