"""The tasks by name. Those of RULER have its names and parameters (scripts/synthetic.yaml)."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from dataclasses import replace

from evictlab_tools.errors import UsageError
from evictlab_tools.tasks import counting, niah, own, tracking
from evictlab_tools.tasks.niah import Niah
from evictlab_tools.tasks.puzzle import Task

RULER, OWN = "RULER", "evictlab"


def _niah(name: str, about: str, maker: Niah) -> Task:
    return Task(name, RULER, about, niah.NEW_TOKENS, maker, prose=maker.haystack == "essay")


TASKS = {
    task.name: task
    for task in (
        _niah("niah_single_1", "a number, in noise", Niah("noise")),
        _niah("niah_single_2", "a number, in prose", Niah("essay")),
        _niah("niah_single_3", "a UUID, in prose", Niah("essay", value="uuids")),
        _niah("niah_multikey_1", "one of four keys' numbers, in prose", Niah("essay", keys=4)),
        _niah("niah_multikey_2", "one of many: every line is a key with its number", Niah("needle")),
        _niah("niah_multikey_3", "the same with UUIDs", Niah("needle", key="uuids", value="uuids")),
        _niah("niah_multivalue", "four numbers of one key, in prose", Niah("essay", values=4)),
        _niah("niah_multiquery", "the numbers of four keys, in prose", Niah("essay", queries=4)),
        Task("vt", RULER, "the five variables of a chain, in noise", tracking.NEW_TOKENS, tracking.VariableTracking()),
        Task(
            "cwe",
            RULER,
            "the ten commonest words of a list",
            counting.COMMON_NEW_TOKENS,
            counting.common_words,
            padding="",
        ),
        Task(
            "fwe",
            RULER,
            "the three most frequent coded words",
            counting.FREQUENT_NEW_TOKENS,
            counting.frequent_words,
            padding="dots",
        ),
        Task("vt_2", OWN, "vt with two hops: three variables", tracking.NEW_TOKENS, tracking.VariableTracking(2)),
        Task("facts", OWN, "where one of four people moved, in prose", own.NEW_TOKENS, own.facts, prose=True),
        Task("list", OWN, "the four items of one of three lists, in prose", own.NEW_TOKENS, own.lists, prose=True),
        Task("lookup_directory", OWN, "a field of one of many records", own.NEW_TOKENS, own.Lookup("directory")),
        Task("lookup_stock", OWN, "the same of a stock list", own.NEW_TOKENS, own.Lookup("stock")),
        Task("code", OWN, "what one of many functions returns", own.NEW_TOKENS, own.code, chat=False, padding=""),
        Task("instructions", OWN, "the word that one of many rules asks for", own.NEW_TOKENS, own.instructions),
    )
}


def chosen(names: str, digits: int) -> list[Task]:
    """Of names with commas between, or `all`; needles' numbers with so many digits."""
    wanted = list(TASKS) if names == "all" else list(dict.fromkeys(names.split(",")))
    for name in wanted:
        if name not in TASKS:
            raise UsageError(f'--tasks {names}: there is no task "{name}"; there are all, {", ".join(TASKS)}')
    return [_with_digits(TASKS[name], digits) for name in wanted]


def _with_digits(task: Task, digits: int) -> Task:
    if digits == niah.DIGITS or not isinstance(task.make, Niah) or task.make.value != "numbers":
        return task
    name = f"{task.name}_{digits}digits"
    return replace(task, name=name, format=f"{RULER}, {digits} digits", make=replace(task.make, digits=digits))
