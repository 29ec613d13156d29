"""What eviction leaves of answers, on tiny random models: decoding, answers' own figures, tables, stopping."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import TOKENIZER, check_schema, make_source
from test_serve import answers_to
from test_tasks import PASSAGE
from verdict_harness import PROMPT, random_masks, read

from evictlab_tools.capture import Settings, capture_suite
from evictlab_tools.documents import read_manifest
from evictlab_tools.errors import ToolError, UsageError
from evictlab_tools.example import Example
from evictlab_tools.generation import Answer, answer
from evictlab_tools.library import Lab
from evictlab_tools.masked import run_continuation
from evictlab_tools.tasks import command as command_module
from evictlab_tools.tasks.catalogue import TASKS
from evictlab_tools.tasks.command import command
from evictlab_tools.tasks.correlate import PROSE, correlate, correlations_to_text, read_measures
from evictlab_tools.tasks.documents import TaskDocument
from evictlab_tools.tasks.make import Making, Setting, document_of, write_folder
from evictlab_tools.tasks.result import Result
from evictlab_tools.tasks.run import AnswerFigures, Asking, Full
from evictlab_tools.tasks.table import tables
from evictlab_tools.tokenised import tokenise
from evictlab_tools.uncompressed import Lookup
from evictlab_tools.verdict.bounds import ORACLE
from evictlab_tools.verdict.documents import TokenDocument, read_suite
from evictlab_tools.verdict.judge import Judge
from evictlab_tools.verdict.serve import Server

SHORT = 420  # tokens of the prompts


def documents(folder: Path, names: list[str], counts: dict[str, int], tokens: int = SHORT) -> int:
    continuation = 0
    for question in ("unseen", "seen"):
        made = [
            document_of(Making(TASKS[name], Setting(tokens, 3, split, TOKENIZER, (PASSAGE,)), question, i))
            for name in names
            for split, count in counts.items()
            for i in range(count)
        ]
        continuation = max(continuation, write_folder(folder / question, made, tokens, TOKENIZER))
    return continuation


@pytest.mark.parametrize("model", ["llama", "gemma3"])
def test_an_answer_is_the_likeliest_token_of_the_whole_continuation_each_time(model: str) -> None:
    """However much of it is as the right one, whose predictions are those of the continuation that has it."""
    run = read(model)
    masks = [random_masks(run, seed) for seed in (1, 2, 3)]
    masks[1] = [mask.copy() for mask in masks[1]]
    masks[1][0][0, :20], masks[1][1][-1, 30:] = True, False  # heads that keep unequal numbers of tokens
    kept = [[torch.from_numpy(mask) for mask in of_set] for of_set in masks]
    fed = PROMPT + 9

    def told(right: list[int], sets: list[int], finished: Callable[[Sequence[int]], bool]) -> list[Answer]:
        ids = [*run.document.ids[:fed], *right]
        chosen = [kept[at] for at in sets]
        return answer(run.model, ids, PROMPT, fed, run.prompt_layers, chosen, 5, finished)

    own = told([7, 8, 9], [0, 1, 2], lambda _: False)
    assert [len(one.tokens) for one in own] == [5, 5, 5]
    for at, one in enumerate(own):
        ids = [*run.document.ids[:fed], *one.tokens]
        logits = run_continuation(run.model, ids, PROMPT, run.prompt_layers, [kept[at]])[0]
        assert tuple(logits.argmax(-1)[8:-1].tolist()) == one.tokens
        forced = run_continuation(run.model, [*ids[:fed], 7, 8, 9], PROMPT, run.prompt_layers, [kept[at]])[0]
        torch.testing.assert_close(one.logits, forced[8:-1])
        beginning = [*one.tokens[:2], one.tokens[2] + 1]  # right as far as the model's own, and then another
        assert [again.tokens for again in told(beginning, [0, 1, 2], lambda _: False)] == [o.tokens for o in own]
    (early,) = told(list(own[0].tokens), [0], lambda tokens: tokens[-1] == own[0].tokens[1])
    assert early.tokens == own[0].tokens[: own[0].tokens.index(own[0].tokens[1]) + 1]


def asking(monkeypatch: pytest.MonkeyPatch, told: list[int]) -> Asking:
    """A run whose model answers with these tokens."""
    example = Example("facts", "evictlab", 0, "unseen", PROMPT - 1, PROMPT + 8, ("in w",), "all", 6, {})
    run = read("llama")
    ids = run.document.ids[: PROMPT + 13]
    tokens = TokenDocument("a", "facts", "test", ids, PROMPT, lookups=(Lookup(PROMPT + 9, PROMPT + 13),))
    run.document = tokens

    def answered(*given: Any) -> list[Answer]:
        taken: list[int] = []
        for token in told[:6]:
            taken.append(token)
            if given[-1](taken):
                break
        return [Answer(one.logits, tuple(taken)) for one in answer(*given)]

    monkeypatch.setattr("evictlab_tools.tasks.run.answer", answered)
    roles = {"answer": (1, 2), "needle": (0, 1, 2, 3), "instruction": (), "distractor": (5,)}
    return Asking(run, TaskDocument(tokens, example, PROMPT + 8, roles), 6)


def ids_of(text: str) -> list[int]:
    return TOKENIZER.encode(text)[1:]


@pytest.mark.parametrize(
    ("told", "heard", "right"),
    [
        (ids_of("IN W and so on"), "IN W", 1.0),  # all is right: no more is asked
        ([*ids_of("no"), 0, *ids_of("in w")], "no", 0.0),  # a special token ends it
        (ids_of("a long answer"), "a long", 0.0),
    ],
)
def test_an_answer_ends_when_it_is_right_or_over_or_long(
    told: list[int], heard: str, right: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = asking(monkeypatch, told).full()
    assert (one.told, one.right) == (heard, right) and one.nll > 0


def test_figures_are_of_the_answers_tokens_and_of_the_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    one = asking(monkeypatch, ids_of("x" * 9))
    one.run.judge.on_answers = True
    masks = random_masks(one.run, 4)
    for mask in masks:
        mask[:, 1] = False
    (found,) = one.figures([masks])
    assert found.lost == 0.5 and found.spans["answer"] == pytest.approx(np.mean([mask[:, 1:3] for mask in masks]))
    assert found.spans["distractor"] == pytest.approx(np.mean([mask[:, 5] for mask in masks]))
    assert "instruction" not in found.spans
    evicted = run_continuation(one.run.model, one.run.document.ids, PROMPT, one.run.prompt_layers,
                               [[torch.from_numpy(mask) for mask in masks]])[0]  # fmt: skip
    p, q = (logits[8:12].double().log_softmax(-1) for logits in (one.run.predictions.logits, evicted))
    targets = torch.tensor(one.run.document.ids[PROMPT + 9 :])[:, None]
    assert found.kl == pytest.approx(float((p.exp() * (p - q)).sum(-1).mean()), rel=1e-5)
    assert found.delta_nll == pytest.approx(float((p - q).gather(1, targets).mean()), rel=1e-5)
    assert one.full().nll == pytest.approx(-float(p.gather(1, targets).mean()), rel=1e-5)


@pytest.fixture
def tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    documents(tmp_path / "tasks", ["niah_single_1", "code"], {"test": 2})
    monkeypatch.setattr(command_module, "open_model", lambda *_: make_source("llama"))
    return tmp_path


def run_tasks(folder: Path, *more: str, budgets: Sequence[str] = ("--retentions", "0.5,0.9")) -> None:
    options = ["--scorers", "knorm@kvpress,snapkv@kvpress:window=8", *budgets, "--new-tokens", "3"]
    command(["run", "tiny", str(folder / "tasks"), *options, "-o", str(folder / "t.json"), *more])


def results(folder: Path, *more: str, budgets: Sequence[str] = ("--retentions", "0.5,0.9")) -> dict[str, Any]:
    run_tasks(folder, *more, budgets=budgets)
    found: dict[str, Any] = json.loads((folder / "t.json").read_text())
    return found


def test_a_run_says_what_was_right_and_leaves_out_what_the_model_cannot_do(
    tasks: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = results(tasks)
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    assert found["schema"] == "evictlab-tasks/1" and found["model"] == "tiny-llama"
    check_schema(found)
    cells = [(cell["task"], cell["question"], cell["examples"], cell["match"]) for cell in found["cells"]]
    assert cells == [
        (task, question, 2, "string_match_all") for question in ("unseen", "seen") for task in ("niah_single_1", "code")
    ]
    assert all(cell["left_out"] == "the model gets 0 % right without eviction" for cell in found["cells"])
    assert printed.count("left out of means: the model gets 0 % right without eviction") == 4
    assert "Mean over the tasks" not in printed
    rows = {row["scorer"]: row for row in found["rows"]}
    assert list(rows) == ["knorm@kvpress", "snapkv@kvpress:window=8", "random", ORACLE]
    for row in rows.values():
        assert np.array(row["answer_kl"]).shape == (8, 2) and np.isfinite(row["answer_kl"]).all()
        assert set(row["kept"]) >= {"needle", "answer", "instruction", "question"}
        assert row["retention_used"] == pytest.approx([0.5, 0.9])
    window = np.array([kept for kept in rows["snapkv@kvpress:window=8"]["kept"]["question"] if kept[0] is not None])
    assert len(window) == 4 and (window[:, 0] > np.array(rows["random"]["kept"]["question"][4:])[:, 0]).all()
    assert np.mean(rows[ORACLE]["answer_kl"]) < np.mean(rows["random"]["answer_kl"])
    with pytest.raises(ToolError, match="needs 3 scorers beside random and the oracle; there are 2"):
        results(tasks, "--correlate")


def test_answers_are_asked_at_a_shape_and_of_so_many_tokens(tasks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shape = ["--granularity", "layer", "--block", "16"]
    found = results(tasks, *shape, "--examples", "1", budgets=["--keep", "100,300"])
    assert found["shape"] == {"granularity": "layer", "join": "mean", "block": 16, "sinks": 0, "recent": 0}
    assert found["keep"] == [100, 300] and found["retentions"] == pytest.approx([100 / SHORT, 300 / SHORT], abs=1e-6)
    for row in found["rows"]:
        assert all(used <= asked for used, asked in zip(row["retention_used"], found["retentions"], strict=True))
        assert row["retention_used"] == pytest.approx([96 / SHORT, 288 / SHORT], abs=16 / SHORT)
    assert "--granularity layer --join mean --block 16" in capsys.readouterr().out
    with pytest.raises(ToolError, match="another model, version or options"):
        results(tasks, "--examples", "1")
    with pytest.raises(UsageError, match="give --retentions or --keep, not both"):
        results(tasks, "--keep", "100")


def test_presses_and_functions_of_python_are_rows_too(tasks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tasks / "mine_asked.py").write_text(
        "import kvpress\npress = kvpress.SnapKVPress(window_size=8)\ndef small_keys(k): return -k.norm(dim=-1)\n"
        "def fails(k): raise KeyError('mine')\n"
    )
    monkeypatch.chdir(tasks)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.delitem(sys.modules, "mine_asked", raising=False)
    own = ["--examples", "1", "--scorers", "mine_asked:press,mine_asked:small_keys,mine_asked:fails"]
    with pytest.raises(ToolError, match=r"1 scorer\(s\) failed"):
        run_tasks(tasks, *own)
    found = json.loads((tasks / "t.json").read_text())
    check_schema(found)
    rows = {row["scorer"]: row for row in found["rows"]}
    assert list(rows) == [
        "knorm@kvpress", "snapkv@kvpress:window=8", "random", "mine_asked:press", "mine_asked:small_keys", ORACLE,
    ]  # fmt: skip
    twin = {**rows["snapkv@kvpress:window=8"], "scorer": "mine_asked:press", "external": "kvpress 0.5"}
    assert rows["mine_asked:press"].pop("external").startswith(twin.pop("external"))
    assert rows["mine_asked:press"] == twin
    assert rows["mine_asked:small_keys"]["external"].startswith("sha256:")
    assert np.array(rows["mine_asked:small_keys"]["retention_used"]) == pytest.approx([0.5, 0.9])
    assert all("external" not in rows[name] for name in ("random", ORACLE))
    with pytest.raises(UsageError, match="a press chooses each head's tokens by itself, at no other shape"):
        run_tasks(tasks, *own, "--granularity", "layer")


def test_a_run_goes_on_where_it_was_stopped(tasks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = results(tasks)
    journal = tasks / "t.json.journal"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:15]) + lines[15][:20])
    assert results(tasks) == whole
    assert sorted(journal.read_bytes().splitlines()) == sorted(b"".join(lines).splitlines())
    monkeypatch.setattr(Judge, "read", lambda *_: pytest.fail("all is finished"))
    assert results(tasks) == whole
    assert len(results(tasks, "--examples", "1")["documents"]) == 4
    with pytest.raises(ToolError, match="another model, version or options"):
        results(tasks, "--sliding-layers")
    with pytest.raises(UsageError, match="is a file that this command reads"):
        command(["run", "tiny", str(tasks / "tasks"), "-o", str(tasks / "tasks" / "seen" / "manifest.json")])
    with pytest.raises(UsageError, match="--new-tokens is at least 1"):
        results(tasks, "--new-tokens", "0")


def test_parts_that_many_processes_do_make_the_result_of_one(
    tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = results(tasks)
    text = (tasks / "t.json").read_bytes()
    (tasks / "t.json").unlink()
    (tasks / "t.json.journal").unlink()
    for part in ("3/3", "1/3", "2/3"):
        run_tasks(tasks, "--shard", part)
        assert not (tasks / "t.json").exists()
    cut = tasks / "t.json.journal.3-of-3"
    lines = cut.read_bytes().splitlines(keepends=True)
    cut.write_bytes(b"".join(lines[:-1]) + lines[-1][:9])  # a part that is written still, or was stopped
    run_tasks(tasks, "--shard", "3/3")
    assert cut.read_bytes() == b"".join(lines)
    monkeypatch.setattr(Judge, "read", lambda *_: pytest.fail("all is finished"))
    assert results(tasks) == whole and (tasks / "t.json").read_bytes() == text
    with pytest.raises(UsageError, match="--correlate is of all examples"):
        run_tasks(tasks, "--shard", "1/2", "--correlate")
    (tasks / "t.json.journal").unlink()
    (tasks / "t.json.journal.1-of-3").write_text('{"format": "another"}\n')
    with pytest.raises(ToolError, match="1-of-3: is of another model, version or options"):
        results(tasks)


def figures(right: float, kl: float) -> AnswerFigures:
    return AnswerFigures(right, "", kl, kl, 5, 10, {"needle": right, "answer": right}, 1 - right)


def made_up() -> Result:
    """Two tasks, of which the model can do one; three scorers that KL on answers ranks as their answers do."""
    tokens = TokenDocument("a", "k", "test", (1, 2, 3), 1, lookups=(Lookup(2, 3),))
    places = [("facts", "unseen"), ("facts", "seen"), ("vt", "unseen"), ("vt", "seen")]
    examples = [Example(name, "f", i, q, 1, 2, ("a",), "all", 5, {}) for name, q in places for i in range(3)]
    full = [Full(float(one.name == "facts"), "", 0.1) for one in examples]
    rows = {
        name: [[figures(right, kl)] for _ in examples]
        for name, right, kl in (("a", 1.0, 0.1), ("b", 0.5, 0.2), ("c", 0.0, 0.3), ("random", 0.0, 0.0))
    }
    known = tuple(TaskDocument(tokens, one, 2, {}) for one in examples)
    return Result("tiny", "none", (0.5,), known, tuple(full), rows, {})


def test_measures_are_held_against_who_is_right(tmp_path: Path) -> None:
    result, library = made_up(), Lab().library
    verdict = tmp_path / "v.json"
    rows = [{"scorer": name, "kl": [[kl], [99.0]]} for name, kl in (("a", 3.0), ("b", 2.0), ("c", 1.0))]
    kept = [{"name": "d"}, {"name": "e", "left_out": "why"}]
    verdict.write_text(
        json.dumps({"schema": "evictlab-verdict/1", "retentions": [0.5], "documents": kept, "rows": rows})
    )
    bench = tmp_path / "b.json"
    figures_of = {"a": 0.1, "b": 0.3, "c": 0.2}
    splits = [{"test": {"traces": [[9.0, value], [9.0, 7.0]]}} for value in figures_of.values()]
    benched = [
        {"scorer": name, "splits": split, "measures": {"attention_loss": split}}
        for name, split in zip(figures_of, splits, strict=True)
    ]
    bench.write_text(
        json.dumps({"schema": "evictlab-bench/2", "measure": "output_error", "more_measures": ["attention_loss"],
                    "retentions": [0.25, 0.5], "traces": {"test": kept}, "rows": benched})
    )  # fmt: skip
    outside = read_measures(verdict) | read_measures(bench)
    assert outside[PROSE] == {("a", 0.5): 3.0, ("b", 0.5): 2.0, ("c", 0.5): 1.0}
    assert outside["output error of the bench"]["b", 0.5] == 0.3
    found = {(one.measure, one.question): one for one in correlate(result, library, outside)}
    assert {one.cells for one in found.values()} == {1} and {one.scorers for one in found.values()} == {3}
    for question in ("unseen", "seen"):
        assert found["KL on the answers' tokens", question].estimate.value == 1
        assert found["kept by some head", question].estimate.value == 1
        assert found[PROSE, question].estimate.value == -1
        assert found["attention loss of the bench", question].estimate.value == 0.5
    assert "KL on the verdict's documents       unseen                 -1.00      1        3" in correlations_to_text(
        list(found.values())
    )
    printed = tables(result)
    assert "question unseen: 3 examples, full cache 100[44,100] % right\n" in printed
    assert "full cache 0[0,56] % right\n    left out of means: the model gets 0 % right" in printed
    assert "a                        0.50  100[44,100]  0.100    0   100[44,100]  0.100    0" in printed
    with pytest.raises(ToolError, match="0 are known there at 1 of these retentions"):
        correlate(result, library, {PROSE: {("z", 0.5): 1.0}})
    verdict.write_text('{"schema": "evictlab-bench/2"}')
    with pytest.raises(ToolError, match="not as evictlab-verdict or evictlab bench writes it"):
        read_measures(verdict)
    verdict.write_text('{"schema": "evictlab-tasks/1"}')
    with pytest.raises(ToolError, match='neither a verdict nor a bench: "schema" is not "evictlab-verdict/1" or'):
        read_measures(verdict)


def test_a_search_can_ask_for_answers_alone(tmp_path: Path) -> None:
    continuation = documents(tmp_path / "tasks", ["niah_single_1"], {"train": 1, "valid": 1})
    source, lab = make_source("llama"), Lab()
    read_documents = read_manifest(tmp_path / "tasks" / "unseen" / "manifest.json")  # noise in both splits is no leak
    settings = Settings(SHORT, continuation, dtype="f32")
    capture_suite(source, read_documents, settings, tmp_path / "suite", name="suite", licence="MIT")
    suite = read_suite(tmp_path / "suite", source, lab.library)
    judge = Judge(source, threads=2, on_answers=True)
    judge.load(suite.documents[0])
    server = Server(judge, suite.with_answers(), lab, workers=1, threads=1)
    greeting = server.greeting("Tiny")
    assert greeting["judge"].endswith(", on answers") and len(greeting["documents"]) == 2
    names = [document["name"] for document in greeting["documents"]]
    asked = {"id": 1, "scorer": "knorm@kvpress", "documents": names, "retentions": [0.5]}
    (answer,) = answers_to(server, tmp_path / "out", [asked])
    for name, kl in zip(names, answer["kl"], strict=True):
        document = next(one for one in suite.documents if one.name == name)
        run = judge.read(document)
        masks = run.keep(lab.open("knorm@kvpress"), [0.5])[0]
        tensors = [[torch.from_numpy(mask) for mask in masks]]
        evicted = run_continuation(run.model, document.ids, SHORT, run.prompt_layers, tensors)[0]
        (lookup,) = document.lookups
        rows = slice(lookup.first - SHORT - 1, lookup.past - SHORT - 1)
        p, q = (logits[rows].double().log_softmax(-1) for logits in (run.predictions.logits, evicted))
        assert kl[0] == pytest.approx(float((p.exp() * (p - q)).sum(-1).mean()), rel=1e-5)
    plain = read("llama")
    with pytest.raises(ToolError, match="its continuation has no answer that the prompt gives"):
        judge.read(plain.document)


def test_captures_and_verdicts_refuse_a_prompt_that_ends_elsewhere(tmp_path: Path) -> None:
    continuation = documents(tmp_path, ["niah_single_1"], {"test": 1})
    read_documents = read_manifest(tmp_path / "unseen" / "manifest.json")
    source = make_source("llama")
    assert tokenise(read_documents, source, SHORT, continuation)
    with pytest.raises(
        ToolError, match=f"ends after {SHORT} tokens, not after --prompt {SHORT - 20}; make the examples"
    ):
        tokenise(read_documents, source, SHORT - 20, continuation)
    with pytest.raises(ToolError, match="the answer goes on behind the last token; give a longer --continuation"):
        tokenise(read_documents, source, SHORT, continuation - 10)
