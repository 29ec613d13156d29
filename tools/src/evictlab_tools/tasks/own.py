"""Tasks of our own, for smaller models and other kinds of prompts: facts and lists in prose, records, code, and a list
of instructions of which one applies. Question and answer's beginning in the manner of RULER's."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from evictlab_tools.corpus.lookup import AREAS, FIRST, GOODS, KEYS, LAST, METALS, STYLES, TOWNS, Record, dice_question
from evictlab_tools.tasks.haystack import among, in_prose
from evictlab_tools.tasks.niah import other
from evictlab_tools.tasks.puzzle import (
    ANSWER,
    DISTRACTOR,
    INSTRUCTION,
    NEEDLE,
    Draw,
    Piece,
    Puzzle,
    Turn,
    distinct,
    listed,
)
from evictlab_tools.tasks.words import NOUNS

NEW_TOKENS = 32
FACTS, LISTS, ITEMS = 4, 3, 4
MOST_LATER = 7  # questions about records, behind the first one


def marked(text: str, answers: Sequence[str], asked: bool) -> list[Piece]:
    """A needle with the places of its answers, in their order, or, of what is not asked, a distractor. Of one answer
    that stands in it twice, the last."""
    if not asked:
        return [Piece(text, DISTRACTOR)]
    pieces: list[Piece] = []
    for answer in answers:
        found = list(re.finditer(rf"(?<![\w:-]){re.escape(answer)}(?![\w:])", text))
        first, past = found[-1 if len(answers) == 1 else 0].span()
        pieces += [Piece(text[:first], NEEDLE)] * (first > 0) + [Piece(answer, ANSWER)]
        text = text[past:]
    return pieces + [Piece(text, NEEDLE)] * bool(text)


def facts(draw: Draw) -> Puzzle:
    """Size: words of prose."""
    dice = draw.fixed
    names = [f"{first} {last}" for first, last in zip(dice.sample(FIRST, FACTS), dice.sample(LAST, FACTS), strict=True)]
    towns = dice.sample(TOWNS, FACTS)
    asked = dice.number(0, FACTS - 1)
    needles = [
        marked(f"{name} moved to {town}.", [town], i == asked)
        for i, (name, town) in enumerate(zip(names, towns, strict=True))
    ]

    def asked_for(name: str) -> tuple[str, str]:
        return f"Question: Where did {name} move to, according to the text above?", f" Answer: {name} moved to"

    return Puzzle(
        [
            Piece("Read the following text. I will ask you about a person in it afterwards.\n", INSTRUCTION),
            *in_prose(needles, draw.prose(draw.size), dice),
            Piece("\n"),
        ],
        *asked_for(names[asked]),
        (towns[asked],),
        listed([towns[asked]]),
        [Turn(*asked_for(names[i]), listed([towns[i]])) for i in range(FACTS) if i != asked],
    )


def lists(draw: Draw) -> Puzzle:
    """Size: words of prose."""
    dice = draw.fixed
    owners = dice.sample(FIRST, LISTS)
    things = dice.sample([f"{metal} {good}" for metal in METALS for good in GOODS], LISTS * ITEMS)
    asked = dice.number(0, LISTS - 1)
    of_owner = [things[number * ITEMS : (number + 1) * ITEMS] for number in range(LISTS)]
    own = of_owner[asked]
    needles = []
    for number, (owner, items) in enumerate(zip(owners, of_owner, strict=True)):
        text = f"\nPacking list of {owner}:\n" + "".join(f"- {item}\n" for item in items)
        needles.append(marked(text, items, number == asked))
    prose = in_prose(needles, draw.prose(draw.size), dice)
    # Of two ends of line there, before a question that is not in the prompt, some tokenizers make one token.
    end = [] if prose[-1].text.endswith("\n") else [Piece("\n")]

    def asked_for(owner: str) -> tuple[str, str]:
        things_of = f"the packing list of {owner}"
        return f"Question: Which things are on {things_of}?", f" Answer: On {things_of} are"

    return Puzzle(
        [
            Piece("Read the following text. I will ask you about one of the lists in it afterwards.\n", INSTRUCTION),
            *prose,
            *end,
        ],
        *asked_for(owners[asked]),
        tuple(own),
        listed(own),
        [Turn(*asked_for(owners[i]), listed(of_owner[i])) for i in range(LISTS) if i != asked],
    )


@dataclass(frozen=True)
class Lookup:
    style: str  # of corpus.lookup's records

    def __call__(self, draw: Draw) -> Puzzle:
        """Size: records beside the one that is asked for."""
        title, make = STYLES[self.style]
        record = make(draw.fixed)
        question, answer = dice_question(draw.fixed, record)
        place = draw.fixed.number(0, 10**6 - 1)
        others: dict[str, Record] = {}
        for _ in range(draw.size):
            found = make(draw.loose)
            if found.key != record.key:
                others.setdefault(found.key, found)
        lines = [marked(found.line, (), False) for found in others.values()]
        needle = marked(record.line, [answer], True)
        records = list(others.values())
        asked_later = [records[number * len(records) // MOST_LATER] for number in range(MOST_LATER) if records]
        later = [dice_question(draw.loose, found) for found in {found.key: found for found in asked_later}.values()]
        return Puzzle(
            [
                Piece(f"{title}\n\n", INSTRUCTION),
                *among(lines, [needle], [place * len(lines) // 10**6], "\n"),
                Piece("\n"),
            ],
            f"Question: {question}",
            " Answer:",
            (answer,),
            listed([answer]),
            [Turn(f"Question: {asked}", " Answer:", listed([told])) for asked, told in later],
        )


def code(draw: Draw) -> Puzzle:
    """Size: functions beside the one that is asked for."""
    names = [f"{area}_{key}" for area in AREAS for key in KEYS]
    name, value = draw.fixed.pick(names), str(draw.fixed.number(1000, 9999))
    place = draw.fixed.number(0, 10**6 - 1)
    lines = []
    for _ in range(draw.size):
        found = other(lambda: draw.loose.pick(names), [name])
        lines.append(_function(f"{draw.loose.pick(NOUNS)}_{found}", str(draw.loose.number(1000, 9999)), False))
    needle = _function(name, value, True)
    return Puzzle(
        [
            Piece('"""Limits of the server, each by a function of its own."""\n\n\n', INSTRUCTION),
            *among(lines, [needle], [place * len(lines) // 10**6], "\n\n\n"),
        ],
        f"\n\n\ndef test_{name}():\n    assert {name}()",
        " ==",
        (value,),
        listed([value]),
    )


def _function(name: str, value: str, asked: bool) -> list[Piece]:
    return marked(f"def {name}():\n    return {value}", [value], asked)


def instructions(draw: Draw) -> Puzzle:
    """Size: rules beside the one that applies."""
    topic, word = draw.fixed.sample(NOUNS, 2)
    place = draw.fixed.number(0, 10**6 - 1)

    def rule(about: str, reply: str) -> str:
        return f'- When somebody mentions the {about}, reply with the word "{reply}".'

    topics = distinct(lambda: draw.loose.pick(NOUNS), min(draw.size, len(NOUNS)))
    while len(topics) < draw.size:  # more than there are nouns: of two of them
        topics.append(f"{draw.loose.pick(NOUNS)} and the {draw.loose.pick(NOUNS)}")
    topics = [about for about in topics if topic not in about.split()]
    lines = [marked(rule(about, other(lambda: draw.loose.pick(NOUNS), [word])), (), False) for about in topics]
    needle = marked(rule(topic, word), [word], True)
    return Puzzle(
        [
            Piece("These are your instructions. Follow the one that applies.\n", INSTRUCTION),
            *among(lines, [needle], [place * len(lines) // 10**6], "\n"),
            Piece("\n"),
        ],
        f"Somebody mentions the {topic}. What do you reply, according to the instructions above?",
        ' Answer: I reply with the word "',
        (word,),
        [Piece(word, ANSWER), Piece('"')],
    )
