"""Documents that need retrieval: a list of records, then questions on them with their answers.

The list fills most of the prompt, so that the questions go on through the continuation and each answer stands in the
list alone. All from a seed, by random.Random.random(), whose sequence Python promises to keep.

A small model answers few of these: SmolLM2-135M 2 of 18. evictlab-capture and evictlab-verdict say so of each
document, and needles.py makes easier ones.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from evictlab_tools.corpus.align import aligned

Item = TypeVar("Item")

LIST_SHARE = 0.88  # of the prompt
MOST_TAKEN = 10_000  # keys drawn twice, after which a list stays shorter than that
FIRST = [
    "Mara",
    "Tobin",
    "Ilse",
    "Gregor",
    "Noor",
    "Samuel",
    "Petra",
    "Anton",
    "Lucia",
    "Henrik",
    "Amina",
    "Pavel",
    "Greta",
    "Omar",
    "Sofia",
    "Viktor",
    "Edda",
    "Jonas",
]
LAST = "Quist Halloran Brandt Okafor Lindqvist Moreau Castell Novak Ferreira Sandoval Whitlock Adeyemi Tanaka".split()
ROOMS = "archive laboratory workshop library registry foundry garage studio chapel granary".split()
GOODS = "hinge bracket valve lantern pulley gasket funnel chisel rivet spindle washer clamp".split()
METALS = "brass steel copper iron bronze nickel zinc tin".split()
TOWNS = "Arnfeld Tolberg Maresk Vinnau Ostrava Kelmont Durnhaven Brixley Sandholm Pellworth Greifen Lunden".split()
AREAS = "cache index queue session upload backup search mailer render audit".split()
KEYS = "interval limit timeout retries depth window quota threshold".split()


class Dice:
    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def number(self, low: int, high: int) -> int:
        """From low to high, both included."""
        return low + int(self._random.random() * (high - low + 1))

    def pick(self, items: Sequence[Item]) -> Item:
        return items[self.number(0, len(items) - 1)]

    def sample(self, items: Sequence[Item], count: int) -> list[Item]:
        """So many of them, each once, in a random order."""
        left = list(items)
        return [left.pop(self.number(0, len(left) - 1)) for _ in range(count)]

    def shuffled(self, items: Sequence[Item]) -> list[Item]:
        """Fisher and Yates, from the end."""
        found = list(items)
        for last in range(len(found) - 1, 0, -1):
            other = self.number(0, last)
            found[last], found[other] = found[other], found[last]
        return found


@dataclass(frozen=True)
class Record:
    key: str
    line: str
    questions: tuple[tuple[str, str], ...]  # (question, answer)


def _person(dice: Dice) -> Record:
    name = f"{dice.pick(FIRST)} {dice.pick(LAST)}"
    room, extension, place = dice.number(100, 599), dice.number(1000, 9999), dice.pick(ROOMS)
    return Record(
        name,
        f"{name}: {place}, room {room}, extension {extension}",
        (
            (f"What is the extension of {name}?", str(extension)),
            (f"In which room is {name}?", str(room)),
            (f"Where does {name} work?", place),
        ),
    )


def _stock(dice: Dice) -> Record:
    code = f"{dice.pick('ABCDEFGHK')}{dice.pick('LMNPRSTV')}-{dice.number(100, 999)}"
    thing = f"{dice.pick(METALS)} {dice.pick(GOODS)}"
    shelf, pieces = f"{dice.number(1, 40)}{dice.pick('ABCDEF')}", dice.number(11, 980)
    return Record(
        code,
        f"- {code} | {thing} | shelf {shelf} | {pieces} in stock",
        (
            (f"What is article {code}?", thing),
            (f"On which shelf is {code}?", shelf),
            (f"How many of {code} are in stock?", str(pieces)),
        ),
    )


def _train(dice: Dice) -> Record:
    number, town, platform = str(dice.number(200, 9899)), dice.pick(TOWNS), dice.number(1, 19)
    time = f"{dice.number(5, 23):02d}:{dice.number(0, 59):02d}"
    return Record(
        number,
        f"Train {number} to {town} leaves at {time} from platform {platform}.",
        (
            (f"When does train {number} leave?", time),
            (f"Where does train {number} go?", town),
            (f"From which platform does train {number} leave?", str(platform)),
        ),
    )


def _setting(dice: Dice) -> Record:
    key = f"{dice.pick(AREAS)}.{dice.pick(AREAS)}_{dice.pick(KEYS)}"
    value, owner = dice.number(100, 9999), dice.pick(FIRST).lower()
    return Record(
        key,
        f"{key} = {value}  # asked for by {owner}",
        ((f"What is {key} set to?", str(value)), (f"Who asked for {key}?", owner)),
    )


STYLES: dict[str, tuple[str, Callable[[Dice], Record]]] = {
    "directory": ("Staff directory. Names, places, rooms and telephone extensions.", _person),
    "stock": ("Stock list of the warehouse, by article.", _stock),
    "timetable": ("Departures of today, from the printed timetable.", _train),
    "settings": ("# Settings of the server, as they are in force.", _setting),
}


def make_lookup(
    style: str, seed: int, *, prompt: int, tokens: int, measure: Callable[[str], int], cut_anywhere: bool = False
) -> str:
    """A text of more than `tokens` tokens, as `measure` counts them, whose list ends inside the prompt.

    A question begins at token `prompt`, but with `cut_anywhere`, as in the suites that have published figures.
    """
    title, make = STYLES[style]
    dice = Dice(seed)
    records: dict[str, Record] = {}
    text = f"{title}\n\n"
    taken = 0
    while taken < MOST_TAKEN:
        record = make(dice)
        if record.key in records:
            taken += 1
            continue
        longer = text + record.line + "\n"
        if measure(longer) > LIST_SHARE * prompt:
            break
        records[record.key] = record
        text = longer
    questions = _questions(dice, records)
    introduction = "\nQuestions and answers from this list:\n\n"
    pairs: list[str] = []
    if cut_anywhere:
        text += introduction
    else:
        while measure(text + introduction + "".join(pairs)) <= prompt:
            pairs.append(next(questions))
        # Where no words fill the gap before the first question that does not fit, one fewer stands in the prompt.
        begun = [(text, introduction + "".join(pairs[:count])) for count in range(len(pairs) - 1, -1, -1)]
        fewer, text = aligned(begun, prompt, measure)
        text += "".join(pairs[len(pairs) - 1 - fewer :])
    while measure(text) <= tokens:
        text += next(questions)
    return text


def _questions(dice: Dice, records: dict[str, Record]) -> Iterator[str]:
    """With their answers. Repeated only once everything was asked, which a long continuation may need."""
    keys = list(records)
    asked: set[str] = set()
    while True:
        question, answer = dice_question(dice, records[dice.pick(keys)])
        if question in asked and len(asked) < sum(len(record.questions) for record in records.values()):
            continue
        asked.add(question)
        yield f"Q: {question}\nA: {answer}\n"


def dice_question(dice: Dice, record: Record) -> tuple[str, str]:
    return record.questions[dice.number(0, len(record.questions) - 1)]
