"""The catalogue's texts."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import struct
import zlib
from collections import Counter
from pathlib import Path

import pytest
from conftest import TOKENIZER

from evictlab_tools.corpus.align import answers_of
from evictlab_tools.corpus.catalogue import CATALOGUE, LOOKUP, of_second_model, select, shipped
from evictlab_tools.corpus.command import parse_counts, write_corpus
from evictlab_tools.corpus.extract import extract
from evictlab_tools.corpus.fresh import FRESH
from evictlab_tools.corpus.lookup import STYLES, make_lookup
from evictlab_tools.corpus.more import MORE
from evictlab_tools.corpus.needles import make_needles
from evictlab_tools.documents import read_manifest
from evictlab_tools.errors import ToolError, UsageError
from evictlab_tools.files import sha256_of_bytes
from evictlab_tools.uncompressed import find_lookups


@pytest.mark.parametrize("style", STYLES)
def test_answers_stand_in_the_list_and_questions_reach_past_the_prompt(style: str) -> None:
    made = make_lookup(style, 5, prompt=2400, tokens=3000, measure=len)
    assert made == make_lookup(style, 5, prompt=2400, tokens=3000, measure=len)
    assert made != make_lookup(style, 6, prompt=2400, tokens=3000, measure=len)
    assert len(made) > 3000
    records, questions = made.split("Questions and answers from this list:")
    assert 2000 < len(records) < 2400
    pairs = [pair.split("\nA: ") for pair in questions.strip().split("\n\n")[0].split("Q: ") if pair]
    assert len(pairs) == len({question for question, _ in pairs}) > 5
    for question, answer in pairs:
        lines = [line for line in records.splitlines() if any(word.strip("?.") in line for word in question.split())]
        assert any(answer.strip() in line for line in lines), question


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("prompt", [1500, 2400, 2411])
def test_no_question_is_cut_at_the_prompts_end(style: str, prompt: int) -> None:
    for seed in (5, 6):
        made = make_lookup(style, seed, prompt=prompt, tokens=prompt + 500, measure=len)
        assert made[:prompt].endswith("\n") and made[prompt:].startswith("Q: ")
        assert len(made) > prompt + 500


def test_lists_of_the_published_suites_stay_as_they_are() -> None:
    made = make_lookup("stock", 5, prompt=2400, tokens=3000, measure=len, cut_anywhere=True)
    assert sha256_of_bytes(made.encode()) == "891fb3757e608f51f27738b0ef94f024aac98ab84ec955629edb476338ff9784"


@pytest.mark.parametrize("prompt", [1024, 2000, 2003])
def test_needles_stand_in_the_prompt_and_are_asked_for_behind_it(prompt: int) -> None:
    prose = " ".join(f"word{i} and another" for i in range(1000))
    made = make_needles(prose, 7, prompt=prompt, tokens=prompt + 400, measure=len)
    assert made == make_needles(prose, 7, prompt=prompt, tokens=prompt + 400, measure=len)
    assert len(made) > prompt + 400 and made[prompt:].startswith("Q: What is the number of the ")
    places = answers_of(made)
    assert len(places) == 4
    for first, past in places:
        assert first > prompt and f"is {made[first:past]}.\n" in made[:prompt]
    ids = TOKENIZER.encode(made)[: prompt + 401]
    found = find_lookups(made, places, ids, prompt, TOKENIZER.encode)
    assert ["".join(TOKENIZER.decode(i) for i in ids[one.first : one.past]) for one in found] == [
        made[first:past] for first, past in places
    ]
    cut = find_lookups(made, places, ids[: found[-1].past - 1], prompt, TOKENIZER.encode)
    assert cut == found[:-1]  # of an answer that the end cuts nothing is said


def test_lookup_documents_are_of_no_other_suite_and_share_no_work_between_splits() -> None:
    sizes = Counter(entry.split for entry in LOOKUP)
    assert sizes == {"train": 4, "valid": 4, "test": 8}
    works = {split: {e.document.split("_")[1] for e in LOOKUP if e.split == split} for split in sizes}
    assert works["train"] == {"emma", "pride"} and works["valid"] == {"mansfield"}
    assert works["test"] == {"persuasion", "northanger", "sense"}
    assert len({(entry.start, entry.needles) for entry in LOOKUP}) == len({entry.start for entry in LOOKUP}) == 16
    assert not {entry.start for entry in LOOKUP} & {entry.start for entry in (*CATALOGUE, *FRESH, *MORE)}


def test_a_long_prompt_gets_all_the_records_that_there_are() -> None:
    made = make_lookup("directory", 5, prompt=100_000, tokens=100_000, measure=len)
    people = [line.split(":")[0] for line in made.split("\n\n")[1].splitlines()]
    assert 200 < len(people) == len(set(people))
    assert len(made) > 100_000


def test_splits_share_no_work_and_each_has_kinds() -> None:
    sizes = Counter(entry.split for entry in CATALOGUE)
    assert sizes == {"train": 16, "valid": 16, "test": 16}
    assert len({entry.document for entry in CATALOGUE}) == len(CATALOGUE)
    assert len({entry.kind for entry in select(8, 4, 16) if entry.split == "test"}) >= 5
    assert Counter(entry.split for entry in shipped()) == {"train": 4, "valid": 2, "test": 2}
    assert len({entry.kind for entry in shipped()}) >= 5
    for entry in shipped():
        assert len(set(entry.shipped_layers)) >= 3
    second = of_second_model(select(8, 4, 16))
    assert [entry.document for entry in second] == [e.document for e in CATALOGUE if e.split == "test"]
    assert {entry.split for entry in second} == {"test_other_model"}
    assert parse_counts("2/1/3") == (2, 1, 3)
    for wrong in ("8/4", "0/1/2", "17/4/16"):
        with pytest.raises(UsageError):
            parse_counts(wrong)


def test_fresh_documents_are_none_of_the_suites() -> None:
    assert len(FRESH) == 32 and {entry.split for entry in FRESH} == {"test"}
    known = [(entry.package, entry.path, entry.start) for entry in CATALOGUE]
    fresh = [(entry.package, entry.path, entry.start) for entry in FRESH]
    assert len({*known, *fresh}) == len(known) + len(fresh)
    assert len({entry.document for entry in (*CATALOGUE, *FRESH)}) == len(known) + len(fresh)
    assert {package for package, _, _ in fresh} <= {package for package, _, _ in known}
    assert len({entry.kind for entry in FRESH}) >= 5


def test_more_documents_to_train_on_share_no_work_with_those_that_judge() -> None:
    assert len(MORE) == 48 and {entry.split for entry in MORE} == {"train"}
    judging = [entry for entry in (*CATALOGUE, *FRESH) if entry.split != "train"]
    novels = "r-cran-janeaustenr"  # one file holds all, train's two among them
    assert not {entry.path for entry in MORE if entry.package != novels} & {entry.path for entry in judging}
    works = {entry.document.split("_")[0] for entry in MORE if entry.package == novels}
    assert works == {"emma", "pride"}
    known = {entry.document for entry in (*CATALOGUE, *FRESH)}
    assert len(known | {entry.document for entry in MORE}) == len(known) + 48


def test_corpus_is_a_manifest_that_capture_reads(tmp_path: Path) -> None:
    entries = [entry for entry in CATALOGUE if entry.package in ("python", "lookup")]
    write_corpus(entries, tmp_path, tmp_path / "out", TOKENIZER, prompt=2000, tokens=2500, layers=False)
    documents = read_manifest(tmp_path / "out" / "manifest.json")
    assert [document.name for document in documents] == [entry.document for entry in entries]
    assert all(len(document.text) >= 2500 for document in documents)
    for document in documents:
        answers = [document.text[first:past] for first, past in document.answers]
        assert bool(answers) == (document.kind == "list_lookup")
        assert all(f"\nA: {answer}\n" in document.text for answer in answers)
    with pytest.raises(ToolError, match="there is no such file"):
        write_corpus(CATALOGUE[:1], tmp_path, tmp_path / "out", TOKENIZER, prompt=9, tokens=9, layers=False)


def test_html_becomes_plain_text(tmp_path: Path) -> None:
    page = tmp_path / "a.html"
    page.write_text("<html><head><title>T</title></head><body><h1>One &amp; two</h1><p>Some\n <b>bold</b> text.</p>"
                    "<pre>a\n  b</pre><script>x</script><ul><li>item</ul></body></html>")  # fmt: skip
    assert extract(page, "One") == "One & two\n\nSome bold text.\n\na\n  b\n\nitem\n"
    with pytest.raises(ToolError, match='no line begins with "Two"'):
        extract(page, "Two")


def test_strings_of_r_data_are_read(tmp_path: Path) -> None:
    strings = ["First line", "", "zweite Zeile: ü"]
    value = b"X\n" + struct.pack(">iiii", 3, 0, 0, 5) + b"UTF-8" + struct.pack(">ii", 16, len(strings))
    for string in strings:
        value += struct.pack(">ii", 0x40009, len(string.encode())) + string.encode()
    number = b"X\n" + struct.pack(">iiiii", 2, 0, 0, 14, 1) + bytes(8)
    path = tmp_path / "Rdata.rdb"
    path.write_bytes(b"".join(struct.pack(">i", len(part)) + zlib.compress(part) for part in (number, value)))
    assert extract(path, "First") == "First line\n\nzweite Zeile: ü"
