"""Commands of these tools in the documentation: their options exist. tests/documentation.cpp has all other commands."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import re
import shlex
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path

import pytest

from evictlab_tools import ablation, capture_options
from evictlab_tools.calibrate import command as calibrate
from evictlab_tools.corpus import command as corpus
from evictlab_tools.farm import options as farm
from evictlab_tools.memory import options as memory
from evictlab_tools.propose import command as propose
from evictlab_tools.tasks import options as tasks
from evictlab_tools.tuning import options as tuning
from evictlab_tools.verdict import options as verdict

ROOT = Path(__file__).resolve().parents[2]
PARSERS: dict[str, ArgumentParser] = {
    "evictlab-ablation": ablation.parser(),
    "evictlab-calibrate": calibrate.parser(),
    "evictlab-capture": capture_options.parser(),
    "evictlab-corpus": corpus.parser(),
    "evictlab-farm": farm.parser(),
    "evictlab-memory": memory.parser(),
    "evictlab-propose": propose.parser(),
    "evictlab-tasks": tasks.parser(),
    "evictlab-tune": tuning.parser(),
    "evictlab-verdict": verdict.parser(),
}
SHELL = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"`(evictlab-[a-z]+ [^`]+)`")


def pages() -> dict[str, str]:
    found = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "speed/README.md"]
    return {str(page.relative_to(ROOT)): page.read_text("utf-8") for page in sorted(found)}


def commands(words: list[str]) -> Iterator[list[str]]:
    """Those of these tools, also within an option's value."""
    for at, word in enumerate(words):
        if Path(word).name in PARSERS:
            end = next(
                (i for i, later in enumerate(words) if i > at and later in ("&&", "&", ";", ">", "|")), len(words)
            )
            yield [Path(word).name, *words[at + 1 : end]]
        elif " " in word:
            yield from commands(shlex.split(word))


def typed(page: str) -> list[list[str]]:
    lines = "".join(SHELL.findall(page)).replace("\\\n", " ").splitlines()
    return [command for line in lines for command in commands(shlex.split(line, comments=True))]


@pytest.mark.parametrize(("name", "page"), pages().items(), ids=pages())
def test_commands_have_the_options_of_their_programs(name: str, page: str) -> None:
    for program, *arguments in typed(page):
        if "--help" not in arguments:
            PARSERS[program].parse_args(arguments)


@pytest.mark.parametrize(("name", "page"), pages().items(), ids=pages())
def test_options_within_a_sentence_are_their_programs(name: str, page: str) -> None:
    for program, *arguments in map(shlex.split, SPAN.findall(page)):
        if program not in PARSERS:
            continue  # evictlab-llama and evictlab-worker are C++
        known = PARSERS[program].format_help()
        for word in (word for word in arguments if " " not in word):
            assert not word.startswith("--") or word.split("=")[0] in known, f"{name}: {program} has no {word}"


def test_commands_are_found_where_they_stand() -> None:
    page = "```sh\nevictlab evolve --judge 'evictlab-verdict a b \\\n  --serve' # not this: evictlab-tune\n```\n"
    assert typed(page) == [["evictlab-verdict", "a", "b", "--serve"]]
    page = "```sh\nX=1 venv/bin/evictlab-capture a && evictlab-corpus b > c\n```\n```text\nevictlab-tune\n```\n"
    assert typed(page) == [["evictlab-capture", "a"], ["evictlab-corpus", "b"]]
    assert sum(len(typed(page)) for page in pages().values()) > 10
    with pytest.raises(SystemExit):
        PARSERS["evictlab-capture"].parse_args(["model", "text", "--out", "x", "--no-such-option"])
