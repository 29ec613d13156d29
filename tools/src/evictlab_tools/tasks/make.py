"""Examples as documents: a prompt of exactly so many tokens, the question behind it or in it, and a right answer."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from evictlab_tools.corpus.lookup import Dice
from evictlab_tools.documents import MANIFEST_FORMAT, Document
from evictlab_tools.errors import ToolError, UsageError
from evictlab_tools.example import Example
from evictlab_tools.files import write_json, write_whole
from evictlab_tools.spans import tokens_before
from evictlab_tools.tasks.haystack import MOST_SKIPPED, NOISE_LINE, NOISE_PARTS, noise_lines
from evictlab_tools.tasks.prose import Passage
from evictlab_tools.tasks.puzzle import NOISE, Draw, Piece, Puzzle, Task
from evictlab_tools.tokens import Tokenizer

MOST_TRIES, WITHOUT_PADDING, MOST_ACROSS = 400, 20, 10
MOST_PADDING, FEWER, MANY = 4 * len(NOISE_PARTS), 8, 61
ENOUGH, LEAST_GROWTH = (
    64,
    0.05,
)  # from this size on a haystack that grows by less when its size is doubled is at its end
SEPARATOR = "\x00"


@dataclass(frozen=True)
class Setting:
    tokens: int
    seed: int
    split: str
    tokenizer: Tokenizer
    passages: Sequence[Passage] = ()
    chat: bool = True  # where the model has a template


def seed_of(*parts: object) -> int:
    """64 bits that follow from the parts, on any machine."""
    return int.from_bytes(hashlib.sha256("\n".join(map(str, parts)).encode()).digest()[:8], "big")


@dataclass(frozen=True)
class Written:
    """An example's text, with places in characters."""

    text: str
    cut: int
    ask: int
    answers: tuple[tuple[int, int], ...]  # behind `ask`
    spans: dict[str, tuple[tuple[int, int], ...]]
    questions: int  # that may be asked of the context


def _chat_parts(tokenizer: Tokenizer) -> tuple[str, str]:
    """What the model's template writes before a user's text and behind it; a first token that encode() adds anyway
    is not written."""
    assert tokenizer.chat is not None
    before, found, behind = tokenizer.chat(SEPARATOR).partition(SEPARATOR)
    if not found:
        raise ToolError("the model's chat template does not write the text that it is given; use --plain")
    added = tokenizer.encode("")
    if added:
        before = before.removeprefix(tokenizer.decode(added[0]))
    return before, behind


def write(puzzle: Puzzle, question: str, form: tuple[str, str], turns: int = 1) -> Written:
    """With the question behind the cut ("unseen") or before it ("seen"). Of several turns each next question and its
    answer follow on a line of their own."""
    before, behind = form
    pieces = [Piece(before), *puzzle.context]
    context = len(before) + sum(len(piece.text) for piece in puzzle.context)
    if question == "seen":
        pieces.append(Piece(puzzle.question, ("question",)))
        cut = context + len(puzzle.question)
    else:
        pieces.append(Piece(puzzle.question))
        cut = context
    pieces.append(Piece(behind))
    # What a chat's answer begins with has no blank before it.
    pieces.append(Piece(puzzle.prefix.lstrip(" ") if behind else puzzle.prefix))
    ask = sum(len(piece.text) for piece in pieces)
    spans: dict[str, list[tuple[int, int]]] = {}
    at, text = 0, []
    turned = [
        piece
        for turn in puzzle.later[: turns - 1]
        for piece in (Piece("\n"), Piece(turn.question), Piece(turn.prefix), *turn.gold)
    ]
    for piece in [*pieces, *puzzle.gold, *turned, Piece("\n")]:
        end = at + len(piece.text)
        for role in piece.roles if end > at else ():
            places = spans.setdefault(role if at < ask else "gold", [])
            if places and places[-1][1] == at and at < ask:
                places[-1] = (places[-1][0], end)
            elif at < ask or role == "answer":
                places.append((at, end))
        at = end
        text.append(piece.text)
    gold = tuple(spans.pop("gold"))
    roles = {role: tuple(places) for role, places in spans.items()}
    return Written("".join(text), cut, ask, gold, roles, 1 + len(puzzle.later))


@dataclass(frozen=True)
class Making:
    """An example of a task, before its length is found."""

    task: Task
    setting: Setting
    question: str
    example: int
    turns: int = 1  # questions and answers behind one prompt, in no chat

    def _dice(self, *of: object) -> Dice:
        return Dice(seed_of(self.setting.seed, self.setting.split, self.task.name, self.example, *of))

    @cached_property
    def passage(self) -> Passage:
        return self._dice("passage").pick(self.setting.passages)

    @cached_property
    def form(self) -> tuple[str, str]:
        tokenizer = self.setting.tokenizer
        chat = self.task.chat and self.setting.chat and tokenizer.chat is not None and self.turns == 1
        return _chat_parts(tokenizer) if chat else ("", "")

    def written(self, attempt: int, size: int, padding: int = 0) -> Written:
        """With so many words and stops of noise, or groups of dots, at the context's end."""

        def prose(count: int) -> list[str]:
            first = self._dice("place", attempt).number(0, len(self.passage.words) - 1)
            return self.passage.taken(first, count)

        loose = self._dice("haystack", attempt)
        puzzle = self.task.make(Draw(self._dice("facts"), loose, size, self.setting.tokens, prose))
        if padding:
            context, end = puzzle.context[:-1], puzzle.context[-1:]
            puzzle = replace(puzzle, context=[*context, *self._padding(attempt, padding), *end])
        return write(puzzle, self.question, self.form, self.turns)

    def _padding(self, attempt: int, count: int) -> list[Piece]:
        if self.task.padding == "dots":
            return [Piece(" ...")] * count
        lines = noise_lines(count, self._dice("padding", attempt).number(0, MOST_SKIPPED))
        return [Piece(f"\n{line}", NOISE) for line in lines]

    @property
    def source(self) -> tuple[str, str]:
        """Where the text is from, and its licence."""
        made = f"generated by evictlab-tasks, {self.task.name}, seed {self.setting.seed}, example {self.example}"
        return (f"{made}, in {self.passage.source}", self.passage.licence) if self.task.prose else (made, "MIT")


def fit(making: Making) -> Written:
    """The example with a prompt of exactly the tokens asked for: where the largest haystack that is no longer is not as
    long, another is drawn, and after some draws a line of noise stands at its end. The facts are the same in all."""
    setting = making.setting
    encode, wanted = setting.tokenizer.encode, setting.tokens
    where = f"{making.task.name}, example {making.example}"

    def tokens(written: Written) -> int:
        return len(encode(written.text[: written.cut]))

    def tried(attempt: int, size: int) -> int:
        return tokens(making.written(attempt, size))

    low, high = 1, 2
    shortest = before = tried(0, low)
    if shortest > wanted:
        raise ToolError(f"{where}: a prompt of {wanted} tokens is too short; the shortest has {shortest}")
    while (found := tried(0, high)) <= wanted:
        if high > ENOUGH and found - before < before * LEAST_GROWTH:
            raise ToolError(f"{where}: a prompt of {wanted} tokens is too long; there is text for {found}")
        low, high, before = high, 2 * high, found
    across = 0
    for attempt in range(MOST_TRIES):
        first, past = (low, high) if attempt == 0 else (max(1, low - low // 8 - 2), high + high // 8 + 2)
        while past - first > 1:
            middle = (first + past) // 2
            first, past = (middle, past) if tried(attempt, middle) <= wanted else (first, middle)
        padded = attempt > WITHOUT_PADDING and bool(making.task.padding)
        size, padding = max(1, first - attempt % (FEWER if attempt < MANY else MANY)) if padded else first, 0
        written = making.written(attempt, size)
        while (found := tokens(written)) < wanted and padded and padding < MOST_PADDING:
            padding += 1
            written = making.written(attempt, size, padding)
        if found == wanted == tokens_before(written.cut, written.text, encode(written.text), setting.tokenizer):
            return written
        across += found == wanted
        if across == MOST_ACROSS:
            raise ToolError(f"{where}: a token of this tokenizer lies across the place where the prompt ends")
        low, high = first, first + 1
    raise ToolError(
        f"{where}: no haystack was found that makes a prompt of exactly {wanted} tokens; give a longer --tokens, or "
        "another --seed"
    )


def document_of(making: Making) -> Document:
    task, split = making.task, making.setting.split
    written = fit(making)
    if written.questions < making.turns:
        raise UsageError(
            f"--turns {making.turns}: the task {task.name} has {written.questions} "
            f"question{'s' if written.questions > 1 else ''} about a prompt of {making.setting.tokens} tokens"
        )
    facts = Example(
        task.name,
        task.format,
        making.example,
        making.question,
        written.cut,
        written.ask,
        tuple(written.text[first:past] for first, past in written.answers),
        task.match,
        task.new_tokens,
        written.spans,
    )
    if making.turns > 1:  # evictlab-tasks run asks one question
        name = f"{task.name}_{split}_{making.example:03d}_{making.turns}_turns"
        return Document(name, task.name, split, written.text, *making.source, answers=written.answers)
    name = f"{task.name}_{split}_{making.example:03d}_{making.question}"
    return Document(name, task.name, split, written.text, *making.source, answers=written.answers, example=facts)


def padded(text: str, tokens: int, tokenizer: Tokenizer) -> str:
    """With noise behind it, so that it has at least so many tokens."""
    while len(tokenizer.encode(text)) < tokens:
        text += f"{NOISE_LINE}\n"
    return text


def continuation_of(documents: Sequence[Document], prompt: int, tokenizer: Tokenizer) -> int:
    """Tokens behind the prompt until the last answer of the longest of them ends."""
    return max(len(tokenizer.encode(document.text)) for document in documents) - prompt


def entries(documents: Sequence[Document]) -> Iterator[dict[str, Any]]:
    for document in documents:
        task = {} if document.example is None else {"task": document.example.to_json()}
        yield {
            "document": document.name,
            "kind": document.kind,
            "split": document.split,
            "file": f"{document.name}.txt",
            "source": document.source,
            "licence": document.licence,
            "answers": [list(place) for place in document.answers],
            **task,
        }


def write_folder(folder: Path, documents: Sequence[Document], tokens: int, tokenizer: Tokenizer) -> int:
    """The texts, all long enough for one continuation, and manifest.json. How many tokens that continuation has."""
    folder.mkdir(parents=True, exist_ok=True)
    continuation = continuation_of(documents, tokens, tokenizer)
    for document in documents:
        text = padded(document.text, tokens + continuation, tokenizer)
        write_whole(folder / f"{document.name}.txt", text.encode())
    write_json(folder / "manifest.json", {"format": MANIFEST_FORMAT, "documents": list(entries(documents))})
    return continuation
