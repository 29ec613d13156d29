"""evictlab-verdict: what does a model itself say of what scorers evict?"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from evictlab_tools import __version__
from evictlab_tools.binding import Library
from evictlab_tools.calibration import CalibrationFile, calibration_of_suite, open_calibration
from evictlab_tools.documents import manifest_files
from evictlab_tools.errors import ToolError, UsageError, run_command
from evictlab_tools.files import check_output, sha256_of_bytes, write_whole
from evictlab_tools.judge_protocol import PROTOCOLS
from evictlab_tools.library import USUAL, Lab, Scorer
from evictlab_tools.lines import own_stdout
from evictlab_tools.models import open_model
from evictlab_tools.progress import Progress
from evictlab_tools.shapes import Budgets, Shape, budgets_of_numbers
from evictlab_tools.shown import complain, say
from evictlab_tools.suite import SUITE_FILE
from evictlab_tools.verdict.correlate import RANDOM, correlate, correlations_to_text, read_bench, run_bench
from evictlab_tools.verdict.cost import Cost, mean_cost
from evictlab_tools.verdict.documents import (
    DocumentSet,
    TokenDocument,
    named_folder,
    names_suite,
    read_named_suite,
    read_texts,
)
from evictlab_tools.verdict.journal import Journal
from evictlab_tools.verdict.judge import LAYER_ORACLE, MODEL_ORACLE, DocumentRun, Figures, Judge, bounds_beside
from evictlab_tools.verdict.options import RETENTIONS, parse_numbers, parse_retentions, parser, shape_from
from evictlab_tools.verdict.result import Row, Verdict, dump, to_json, used
from evictlab_tools.verdict.serve import Server

MADE_BY = f"evictlab-verdict {__version__}"


@dataclass
class Verdicts:
    """Figures of every document, scorer (or bound) and retention, from the journal or from the model."""

    judge: Judge
    documents: DocumentSet
    scorers: dict[str, Scorer]
    budgets: Budgets
    journal: Journal
    model_name: str | None = None
    value_bytes: float | None = 2.0  # None: costs are not measured
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def retentions(self) -> tuple[float, ...]:
        return self.budgets.retentions

    def _hash(self, document: TokenDocument, row: str) -> str:
        """Of all that a row's figures on the document follow from beside the document."""
        if row not in self.scorers:
            return row
        scorer = self.scorers[row]
        if scorer.needs.reconstruction and document.second_pass is not None:
            return f"{scorer.hash}, second pass {document.second_pass[1]}"
        return scorer.hash

    def figures(self, document: TokenDocument, row: str, retention: float) -> Figures | None:
        return self.journal.get((document.hash, self._hash(document, row), retention))

    def _missing(self, document: TokenDocument, row: str) -> list[float]:
        return [r for r in self.retentions if self.figures(document, row, r) is None]

    @property
    def rows(self) -> list[str]:
        return [*self.scorers, *bounds_beside(self.scorers.values(), self.judge.shape)]

    def run(self) -> None:
        total = len(self.documents.documents) * len(self.rows) * len(self.retentions)
        missing = sum(len(self._missing(d, row)) for d in self.documents.documents for row in self.rows)
        with Progress(self.documents.suite, total, done=total - missing, unit="run") as progress:
            for document in self.documents.documents:
                noted = self.journal.uncompressed(document.hash, document.lookups)
                if noted is not None and not any(self._missing(document, row) for row in self.rows):
                    continue
                progress.at(document.name)
                run = self.judge.read(document)
                if noted is None:
                    self.journal.add_uncompressed(document.hash, document.name, run.uncompressed, run.cache)
                for row in self.rows:
                    self._run_row(run, row, progress)

    def _run_row(self, run: DocumentRun, row: str, progress: Progress) -> None:
        missing = self._missing(run.document, row)
        if not missing or row in self.failures:
            progress.advance(len(missing))
            return
        removed = [self.budgets.removed(retention, run.prompt) for retention in missing]
        try:
            kept = run.keep(self.scorers[row], removed) if row in self.scorers else run.keep_oracle(row, removed)
            measured = row in self.scorers and self.value_bytes is not None
            cost = run.cost(self.scorers[row], max(removed)) if measured else None
        except ToolError as error:
            self.failures[row] = f"{row} on {run.document.name}: {error}"
            progress.say(f"error: {self.failures[row]}; its row is left out")
            progress.advance(len(missing))
            return
        names = {"document": run.document.name, "scorer": row}
        for retention, figures in zip(missing, run.measure(kept), strict=True):
            self.journal.add((run.document.hash, self._hash(run.document, row), retention), names, figures, cost)
            cost = None
        progress.advance(len(missing))

    def verdict(self) -> Verdict:
        rows = tuple(self._row(row) for row in self.rows if row not in self.failures)
        source = self.judge.source
        model = self.model_name or self.documents.model or source.name
        made = [self.journal.uncompressed(d.hash, d.lookups) for d in self.documents.documents]
        known = tuple(one for one in made if one is not None)
        uncompressed = known if len(known) == len(made) else ()
        return Verdict(
            self.documents,
            model,
            source.weights,
            self.retentions,
            rows,
            uncompressed,
            cache=self.journal.cache,
            value_bytes=self.value_bytes,
            cut=cut_json(self.judge.shape, self.budgets),
        )

    def _cost(self, row: str) -> Cost | None:
        if self.value_bytes is None:
            return None
        costs = [self.journal.cost(d.hash, self._hash(d, row)) for d in self.documents.documents]
        return mean_cost([cost for cost in costs if cost is not None])

    def _uneven(self, row: str) -> bool:
        if row in self.scorers:
            return bool(self.scorers[row].row_class["budgets"] != "uniform")
        return row in (LAYER_ORACLE, MODEL_ORACLE)

    def _row(self, row: str) -> Row:
        figures = [[self.figures(d, row, r) for r in self.retentions] for d in self.documents.documents]
        known = [[f for f in of_document if f is not None] for of_document in figures]
        return Row(
            row,
            np.array([[f.kl for f in of_document] for of_document in known]),
            np.array([[f.delta_nll for f in of_document] for of_document in known]),
            np.array([used([f[r].kept for f in known], [f[r].cached for f in known]) for r in range(len(known[0]))]),
            self._uneven(row),
            self.scorers[row].plugin if row in self.scorers else None,
            self.scorers[row].row_class if row in self.scorers else None,
            self._cost(row),
        )


def cut_json(shape: Shape, budgets: Budgets) -> dict[str, Any]:
    """What a result says of how its rows were cut, where that is not the usual way."""
    keep = {"keep": list(budgets.keep)} if budgets.keep else {}
    return keep if shape.usual else {"shape": shape.to_json(), **keep}


def open_scorers(lab: Lab, lists: Sequence[str], shape: Shape = USUAL) -> dict[str, Scorer]:
    """Those asked for, without repetition, and random.

    What cannot be had at the shape is refused, and left out of what nobody named by itself.
    """
    scorers: dict[str, Scorer] = {}
    left_out = []
    for texts in lists:
        named = {part.strip() for part in texts.split(",")}
        for text in lab.split(texts):
            scorer = scorers.get(text) or lab.open(text)
            try:
                scorer.check_shape(shape)
            except UsageError:
                if "all" not in named or text in named:
                    raise
                left_out.append(text)
                continue
            scorers[text] = scorer
    if left_out:
        complain(f"note: all leaves out what cannot be had at this shape: {', '.join(left_out)}")
    if not any(scorer.plugin == RANDOM for scorer in scorers.values()):
        scorers[RANDOM] = lab.open(RANDOM)
    return scorers


def _documents(given: argparse.Namespace, judge: Judge, library: Library) -> DocumentSet:
    if names_suite(given.inputs):
        return read_named_suite(given.inputs, judge.source, library)
    return read_texts(
        given.inputs,
        judge.source,
        prompt=given.prompt,
        continuation=given.continuation,
        kind=given.kind,
        split="test",
    )


def _print_table(file: Path, library: Library, plugin_dirs: Sequence[Path]) -> None:
    """Of the verdict in the file, which is written whether or not there is a table."""
    folders = [f"--plugin-dir={folder}" for folder in plugin_dirs]
    try:
        say(library.run_program("report", f"--verdict={file}", *folders).rstrip("\n"))
    except ToolError as error:
        wanted = shlex.join(["evictlab", "report", f"--verdict={file}", *folders])
        complain(f"{file} is written, but there is no table of it: {error}; `{wanted}` prints one")


def _print_correlation(bench: str, lab: Lab, verdict: Verdict, plugin_dirs: Sequence[Path]) -> None:
    found = run_bench(lab.library, verdict, plugin_dirs) if bench == "" else read_bench(Path(bench), verdict)
    correlations = correlate(lab.library, verdict, found)
    say(
        f"Which offline measure predicts the KL divergence: mean over {correlations[0].documents} documents of the "
        f"rank correlation (Spearman) over {correlations[0].scorers} scorers, with 95 % intervals"
    )
    say(correlations_to_text(correlations))


def _open_lab(given: argparse.Namespace) -> tuple[Lab, CalibrationFile | None]:
    """The lab, and the calibration that it has: the one asked for, else the suite's own."""
    lab = Lab(given.plugin_dir)
    for problem in lab.problems:
        complain(f"warning: {problem}")
    calibration = open_calibration(given.calibration) if given.calibration is not None else None
    if calibration is None and len(given.inputs) == 1 and names_suite(given.inputs):
        calibration = calibration_of_suite(named_folder(given.inputs[0], lab.library))
    if calibration is not None:
        lab.calibrate(calibration.path)
    return lab, calibration


def _check_calibration(
    calibration: CalibrationFile | None, scorers: Iterable[Scorer], judge: Judge, documents: DocumentSet
) -> None:
    """Where a scorer reads it: it is of these weights, and no document here was learned from, but for train ones."""
    if calibration is None or not any(scorer.needs.calibration for scorer in scorers):
        return
    calibration.check_weights(judge.source.weights)
    calibration.check_documents(d.name.rpartition("/")[2] for d in documents.documents if d.split != "train")


def _serve(given: argparse.Namespace) -> None:
    ways = ("retentions", "keep", "granularity", "join", "block", "block_score", "sinks", "recent")
    for option in ("scorers", "split", "journal", "correlate", "value_bytes", "no_cost", *ways):
        if getattr(given, option) is not None:
            name = option.replace("_", "-")
            raise UsageError(
                f"--{name} has no meaning with --serve: requests say what is judged, and answers are KL alone"
            )
    if not names_suite(given.inputs):
        raise UsageError(f"--serve needs a captured suite, and {given.inputs[0]} has no {SUITE_FILE}")
    threads = given.threads or 1
    workers = given.workers or max(1, (os.cpu_count() or 1) // threads)
    torch.set_num_threads(threads)
    with own_stdout() as answers:
        lab, calibration = _open_lab(given)
        source = open_model(given.model, given.revision)
        on_answers = given.on == "answers"
        judge = Judge(source, sliding_layers=given.sliding_layers, threads=workers * threads, on_answers=on_answers)
        documents = _documents(given, judge, lab.library)
        if on_answers:
            documents = documents.with_answers()
        if calibration is not None:
            calibration.check_weights(source.weights)
        asked = None if given.calibration is None or calibration is None else calibration.sha256
        server = Server(judge, documents, lab, workers=workers, threads=threads, calibration=asked)
        judge.load(documents.documents[0])
        answers.write(
            server.greeting(given.model_name or documents.model or source.name, given.protocol or PROTOCOLS[0])
        )
        server.serve(sys.stdin.buffer, answers)


def command(arguments: Sequence[str] | None = None) -> None:
    given = parser().parse_args(arguments)
    for option in ("threads", "workers"):
        if getattr(given, option) is not None and getattr(given, option) < 1:
            raise UsageError(f"--{option} is at least 1")
    if given.serve:
        _serve(given)
    elif given.workers is not None or given.protocol is not None:
        raise UsageError(f"--{'workers' if given.workers is not None else 'protocol'} is for --serve")
    elif given.on != "continuation":
        raise UsageError(f"--on {given.on} is for --serve; evictlab-tasks run measures answers by themselves")
    else:
        _measure(given)


def _check_outputs(given: argparse.Namespace, journal: Path, library: Library) -> None:
    scorers = [file for texts in given.scorers or [] for file in library.scorer_files(texts)]
    read = [Path(given.model), *given.inputs, *scorers, *manifest_files(given.inputs)]
    read += [Path(given.correlate)] if given.correlate else []
    read += [given.calibration] if given.calibration is not None else []
    check_output(given.output, [*read, journal])
    check_output(journal, read, "--journal")


def _sources(
    calibration: CalibrationFile | None, scorers: Iterable[Scorer], documents: Iterable[TokenDocument]
) -> dict[str, str]:
    """What the figures follow from beside model and documents: second passes that were made here follow from those."""
    needs = [scorer.needs for scorer in scorers]
    result = {}
    if calibration is not None and any(need.calibration for need in needs):
        result["calibration"] = f"sha256:{calibration.sha256}"
    passes = [document.second_pass[1] for document in documents if document.second_pass is not None]
    if passes and any(need.reconstruction for need in needs):
        result["reconstruction"] = f"sha256:{sha256_of_bytes(''.join(passes).encode())}"
    return result


def _measure(given: argparse.Namespace) -> None:
    path = given.journal or given.output.with_name(given.output.name + ".journal")
    lab, calibration = _open_lab(given)
    _check_outputs(given, path, lab.library)
    shape = shape_from(given)
    if given.keep is not None and given.retentions is not None:
        raise UsageError("give --retentions or --keep, not both: shares of a prompt's tokens, or numbers of them")
    retentions = RETENTIONS if given.retentions is None else parse_retentions(given.retentions)
    numbers = () if given.keep is None else parse_numbers(given.keep)
    value_bytes = None if given.no_cost else 2.0 if given.value_bytes is None else given.value_bytes
    if value_bytes is not None and not 0 < value_bytes <= 64:
        raise UsageError("--value-bytes must be above 0, and at most 64")
    threads = given.threads or torch.get_num_threads()
    torch.set_num_threads(threads)
    asked = given.scorers or ["all"]
    scorers = open_scorers(lab, asked, shape)
    if calibration is None and any("all" in texts.split(",") for texts in asked):
        complain("note: all leaves out the scorers that read a calibration, as there is none; see --calibration")
    source = open_model(given.model, given.revision)
    judge = Judge(source, sliding_layers=given.sliding_layers, threads=threads, shape=shape)
    documents = _documents(given, judge, lab.library).of_splits(given.split or ["test", "test_other_model"])
    _check_calibration(calibration, scorers.values(), judge, documents)
    prompts = [document.prompt for document in documents.documents]
    budgets = budgets_of_numbers(numbers, prompts) if numbers else Budgets(retentions)
    basis = {"by": MADE_BY, "weights": source.weights, "sliding_layers": given.sliding_layers}
    basis.update(cut_json(shape, budgets))
    journal = Journal(path, basis)
    with closing(journal):
        verdicts = Verdicts(judge, documents, scorers, budgets, journal, given.model_name, value_bytes)
        verdicts.run()
    judged = [scorer for row, scorer in scorers.items() if row not in verdicts.failures]
    verdict = replace(verdicts.verdict(), sources=_sources(calibration, judged, documents.documents))
    write_whole(given.output, dump(to_json(verdict, MADE_BY)))
    _print_table(given.output, lab.library, given.plugin_dir)
    if given.correlate is not None:
        _print_correlation(given.correlate, lab, verdict, given.plugin_dir)
    if verdicts.failures:
        raise ToolError(f"{len(verdicts.failures)} scorer(s) failed and have no row")


def main() -> None:
    sys.exit(run_command(command))
