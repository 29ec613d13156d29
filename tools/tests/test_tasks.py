"""Tasks: the same examples from the same seed, in RULER's words, with spans that point at the right tokens."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from conftest import TOKENIZER, encode

from evictlab_tools.corpus.lookup import Dice
from evictlab_tools.documents import Document, read_manifest
from evictlab_tools.errors import ToolError, UsageError
from evictlab_tools.example import example_of_json
from evictlab_tools.files import read_json, sha256_of_bytes, write_json
from evictlab_tools.spans import token_ends, tokens_of
from evictlab_tools.tasks.catalogue import TASKS, chosen
from evictlab_tools.tasks.command import parse_counts
from evictlab_tools.tasks.counting import frequent_words
from evictlab_tools.tasks.documents import read_tasks
from evictlab_tools.tasks.make import Making, Setting, document_of, padded, write_folder
from evictlab_tools.tasks.match import string_match_all, string_match_part
from evictlab_tools.tasks.prose import Passage, passages_of_files
from evictlab_tools.tasks.puzzle import Draw, Puzzle
from evictlab_tools.tokens import Tokenizer
from evictlab_tools.uncompressed import find_lookups

PASSAGE = Passage(tuple(f"He saw {i} birds. Then they left.".split()[i % 6] for i in range(997)), "a book", "MIT")
TOKENS = 1800  # bytes, with the tests' tokenizer
NOISE = "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again."


def setting(**changes: Any) -> Setting:
    return replace(Setting(TOKENS, 5, "test", TOKENIZER, (PASSAGE,)), **changes)


def example(task: str, question: str = "unseen", number: int = 0, **changes: Any) -> Document:
    return document_of(Making(TASKS[task], setting(**changes), question, number))


def puzzle(task: str, size: int) -> Puzzle:
    return TASKS[task].make(Draw(Dice(1), Dice(2), size, TOKENS, lambda count: PASSAGE.taken(0, count)))


def words(tokenizer: Tokenizer, ids: Any) -> str:
    return "".join(tokenizer.decode(i) for i in ids)


@pytest.mark.parametrize("task", TASKS)
def test_an_example_follows_from_its_seed_and_both_questions_are_of_one_example(task: str) -> None:
    unseen, seen = example(task), example(task, "seen")
    assert unseen == example(task)
    assert unseen.text != example(task, seed=6).text and unseen.text != example(task, number=1).text
    assert unseen.text != example(task, split="train").text
    a, b = unseen.example, seen.example
    assert a is not None and b is not None and a.answers == b.answers
    for one, document in ((a, unseen), (b, seen)):
        assert len(encode(document.text[: one.cut])) == TOKENS
    question = seen.text[b.spans["question"][0][0] : b.cut]
    assert "question" not in a.spans and unseen.text[a.cut : a.ask].startswith(question)
    assert unseen.text[a.cut :] == question + seen.text[b.cut :]


def test_examples_are_the_same_on_every_machine() -> None:
    text = "".join(example(task).text for task in sorted(TASKS))
    assert sha256_of_bytes(text.encode()) == "3e639ddb6e04d8b628468fd5ad05ac99f7c16989ec8a35ba896b9fde6b78e30d"


@pytest.mark.parametrize("task", TASKS)
def test_spans_point_at_the_right_tokens(task: str, tmp_path: Path) -> None:
    for question in ("unseen", "seen"):
        write_folder(tmp_path / question, [example(task, question)], TOKENS, TOKENIZER)
    for document in read_tasks([tmp_path], TOKENIZER, None):
        ids, facts = document.tokens.ids, document.example
        assert document.tokens.prompt == TOKENS
        assert [words(TOKENIZER, ids[one.first : one.past]) for one in document.tokens.lookups] == list(facts.answers)
        assert ids[-1] == encode(facts.answers[-1])[-1]
        critical = words(TOKENIZER, [ids[i] for i in document.roles["answer"]])
        assert all(answer in critical for answer in facts.answers)
        assert set(document.roles["answer"]) <= set(document.roles["needle"])
        assert not set(document.roles["needle"]) & set(document.roles.get("distractor", ()))
        asked = words(TOKENIZER, ids[TOKENS : document.fed])
        assert bool(document.roles.get("question")) == (facts.question == "seen")
        assert ids[document.fed] == encode(" ")[-1] or task == "instructions"
        assert asked.rstrip().endswith(("text is", "text are", "they are:", "list are:", "are:", "moved to", "are",
                                        "Answer:", "==", 'word "'))  # fmt: skip


def test_needles_are_asked_for_in_rulers_words() -> None:
    one = example("niah_single_1")
    facts = one.example
    assert facts is not None and (facts.format, facts.match, facts.new_tokens) == ("RULER", "all", 128)
    (value,) = facts.answers
    needle = one.text[slice(*facts.spans["needle"][0])]
    key = needle.removeprefix("One of the special magic numbers for ").removesuffix(f" is: {value}.")
    assert "-" in key and value.isdecimal() and len(value) == 7
    assert one.text.startswith(
        "A special magic number is hidden within the following text. Make sure to memorize it. I will quiz you about "
        "the number afterwards.\n"
    )
    assert one.text[facts.cut :] == (
        f"What is the special magic number for {key} mentioned in the provided text? The special magic number for "
        f"{key} mentioned in the provided text is {value}\n"
    )
    context = one.text[: facts.cut].splitlines()[1:]
    assert all(line in (NOISE, needle) for line in context[1:-1])
    assert NOISE.endswith(context[0]) and NOISE.startswith(context[-1])

    many = example("niah_multiquery")
    assert many.example is not None and len(many.example.answers) == 4
    assert many.text.startswith(
        "Some special magic numbers are hidden within the following text. Make sure to memorize"
    )
    behind = many.text[many.example.cut :]
    assert behind.startswith("What are all the special magic numbers for ") and ", and " in behind
    assert behind.endswith(f"mentioned in the provided text are {', '.join(many.example.answers)}\n")
    four = example("niah_multikey_1").example
    assert four is not None and len(four.spans["distractor"]) == 3 and len(four.answers) == 1
    uuid = example("niah_multikey_3").example
    assert uuid is not None and len(uuid.answers[0]) == 36 and uuid.answers[0][14] == "4"


def test_tracking_and_counting_are_rulers() -> None:
    chain = puzzle("vt", 200)
    told = "".join(piece.text for piece in chain.context).split("\n")
    names = list(chain.answers)
    assert told[0] == "Memorize and track the chain(s) of variable assignment hidden in the following text."
    steps = [line for line in told if line.startswith("VAR")]
    value = steps[0].removeprefix(f"VAR {names[0]} = ")
    assert steps[1:] == [f"VAR {name} = VAR {before} " for before, name in pairwise(names)]
    assert chain.question == f"Question: Find all variables that are assigned the value {value} in the text above."
    assert chain.prefix == (
        " Answer: According to the chain(s) of variable assignment in the text above, 5 variables are assigned the "
        f"value {value}, they are:"
    )
    common = puzzle("cwe", 60)
    text = "".join(piece.text for piece in common.context)
    listed = text.split("Memorize the ones that appear most often.\n")[2].split()
    assert listed[::2] == [f"{i}." for i in range(1, len(listed) // 2 + 1)]
    counts = {word: listed[1::2].count(word) for word in listed[1::2]}
    assert len(counts) == 60 and all(counts[word] == (6 if word in common.answers else 1) for word in counts)
    coded = frequent_words(Draw(Dice(1), Dice(2), 400, TOKENS, PASSAGE.taken))  # type: ignore[arg-type]
    listed = "".join(piece.text for piece in coded.context).split("coded words. ")[1].split()
    # 400 / k^2 / zeta(2): the dots, then the three words.
    assert 243 <= listed.count("...") <= 259
    assert [listed.count(word) for word in coded.answers] == [60, 27, 15]
    assert max(listed.count(word) for word in {*listed} - {"...", *coded.answers}) == 9


def test_answers_are_counted_as_ruler_counts_them() -> None:
    assert string_match_all(" The numbers are 12 and 34.", ["12", "34"]) == 1
    assert string_match_all("it is 12", ["12", "34"]) == 0.5
    assert string_match_all("OAK\x00elm", ["oak", "Elm"]) == 1
    assert string_match_all("1\n2", ["12"]) == 0
    assert string_match_part("it is 12", ["12", "34"]) == 1 and string_match_part("", ["12"]) == 0


def test_a_chat_is_written_by_the_models_template() -> None:
    chat = replace(TOKENIZER, chat=lambda text: f"<user>{text}<end>\n<model>")
    document = example("niah_single_1", "seen", tokenizer=chat)
    facts = document.example
    assert facts is not None and document.text.startswith("<user>A special magic number")
    assert document.text[facts.cut :].startswith("<end>\n<model>The special magic number for ")
    assert len(encode(document.text[: facts.cut])) == TOKENS
    assert example("code", tokenizer=chat).text.startswith('"""Limits')
    assert example("niah_single_1", tokenizer=chat, chat=False) == example("niah_single_1")


@pytest.mark.parametrize(
    ("task", "questions"), [("facts", 4), ("list", 3), ("niah_multikey_1", 4), ("lookup_stock", 5)]
)
def test_several_questions_follow_one_prompt_each_with_its_right_answer(
    task: str, questions: int, tmp_path: Path
) -> None:
    made = document_of(Making(TASKS[task], setting(), "unseen", 0, questions))
    alone = example(task)
    assert alone.example is not None and made.example is None
    assert made.text.startswith(alone.text.removesuffix("\n")) and len(encode(made.text[: alone.example.cut])) == TOKENS
    told = [made.text[first:past] for first, past in made.answers]
    each = len(alone.answers)
    assert told[:each] == list(alone.example.answers) and len(told) == questions * each
    asked = made.text[alone.example.cut :].splitlines()
    assert len(set(asked)) == len(asked) == questions
    for line, at in zip(asked, range(0, len(told), each), strict=True):
        assert all(answer in line for answer in told[at : at + each])
    for answer in told:  # which the prompt gives
        assert answer in made.text[: alone.example.cut]
    continuation = write_folder(tmp_path, [made], TOKENS, TOKENIZER)
    (read,) = read_manifest(tmp_path / "manifest.json")
    ids = encode(read.text)[: TOKENS + continuation]
    lookups = find_lookups(read.text, read.answers, ids, TOKENS, encode)
    assert [words(TOKENIZER, ids[one.first : one.past]) for one in lookups] == told
    with pytest.raises(ToolError, match='says no "task"'):
        read_tasks([tmp_path], TOKENIZER, None)


def test_more_questions_than_a_task_has_are_refused() -> None:
    with pytest.raises(UsageError, match="--turns 5: the task facts has 4 questions about a prompt"):
        document_of(Making(TASKS["facts"], setting(), "unseen", 0, 5))
    with pytest.raises(UsageError, match="--turns 2: the task niah_single_1 has 1 question about a prompt"):
        document_of(Making(TASKS["niah_single_1"], setting(), "unseen", 0, 2))


def test_prompts_that_cannot_be_are_refused() -> None:
    with pytest.raises(ToolError, match="facts, example 0: a prompt of 60 tokens is too short; the shortest has"):
        example("facts", tokens=60)
    with pytest.raises(ToolError, match="is too long; there is text for"):
        example("lookup_directory", tokens=40_000)
    with pytest.raises(UsageError, match='there is no task "niah"; there are all, niah_single_1, '):
        chosen("niah", 7)
    assert [task.name for task in chosen("niah_single_1,vt", 4)] == ["niah_single_1_4digits", "vt"]
    assert chosen("niah_single_1", 4)[0].format == "RULER, 4 digits"
    assert parse_counts("20") == {"train": 0, "valid": 0, "test": 20}
    assert parse_counts("8/4/2") == {"train": 8, "valid": 4, "test": 2}
    for wrong in ("0", "1/2", "x", "0/0/0"):
        with pytest.raises(UsageError, match="--examples"):
            parse_counts(wrong)


def test_splits_share_no_part_of_a_text(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text(" ".join(f"word{i}" for i in range(90)))
    parts = [passages_of_files([file], split)[0] for split in ("train", "valid", "test")]
    assert [part.words[0] for part in parts] == ["word0", "word30", "word60"]
    assert parts[0].taken(29, 3) == ["word29", "word0", "word1"]
    file.write_text("two words")
    with pytest.raises(ToolError, match="too few for a haystack"):
        passages_of_files([file], "test")


def test_manifests_are_read_as_they_are_written_and_mistakes_are_named(tmp_path: Path) -> None:
    made = [example("niah_single_1", "seen", i) for i in range(2)]
    continuation = write_folder(tmp_path, made, TOKENS, TOKENIZER)
    read = read_manifest(tmp_path / "manifest.json")
    assert [document.example for document in read] == [document.example for document in made]
    assert all(len(encode(document.text)) >= TOKENS + continuation for document in read)
    assert [len(read_tasks([tmp_path], TOKENIZER, count)) for count in (1, None)] == [1, 2]
    manifest = read_json(tmp_path / "manifest.json")
    good = dict(manifest["documents"][0]["task"])
    for field, wrong, why in (
        ("match", "some", '"match" is not all or part'),
        ("cut", -1, '"cut" is not a whole number of at least 1'),
        ("ask", 10**6, '"ask" is not a place between the cut and the end'),
        ("answers", [], '"answers" is not a list of texts'),
        ("spans", {"hay": []}, '"spans" is not an object with places of instruction, needle'),
        ("spans", {"needle": [[5, 10**6]]}, r'"spans\.needle" is not a list of places'),
    ):
        with pytest.raises(ToolError, match=why):
            example_of_json({**good, field: wrong}, made[0].text, "here")
    del manifest["documents"][0]["task"]
    write_json(tmp_path / "manifest.json", manifest)
    with pytest.raises(ToolError, match='says no "task", so there is no question to ask'):
        read_tasks([tmp_path], TOKENIZER, None)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"has no manifest\.json"):
        read_tasks([tmp_path / "empty"], TOKENIZER, None)


def test_tokens_are_found_where_they_stand() -> None:
    pieces = {1: "the", 2: " cat", 3: "s", 4: "<s>"}
    blanks = Tokenizer(lambda _: [4, 1, 2, 3, 2], lambda i: pieces[i].strip(), frozenset({4}))
    text = "the cats cat"
    ends = token_ends(text, [4, 1, 2, 3, 2], blanks)
    assert ends == [0, 3, 7, 8, 12]
    assert [tokens_of(span, ends) for span in ((0, 3), (4, 8), (3, 7), (9, 12))] == [(1, 2), (2, 4), (2, 3), (4, 5)]
    told = "é1"  # two bytes, then one
    assert token_ends(told, encode(told), TOKENIZER) == [0, 1, 1, 2]
    assert padded("a\n", 100, TOKENIZER).startswith(f"a\n{NOISE}\n")
