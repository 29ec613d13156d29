"""What evictlab-verdict measures: figures of every document, scorer and retention, and the verdict of them."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from evictlab_tools.errors import ToolError
from evictlab_tools.external.scorer import ExternalScorer
from evictlab_tools.library import Scorer
from evictlab_tools.progress import Progress
from evictlab_tools.shapes import Budgets, Shape
from evictlab_tools.verdict.along import frozen_at, row_json
from evictlab_tools.verdict.bounds import LAYER_ORACLE, MODEL_ORACLE, bounds_beside
from evictlab_tools.verdict.cost import Cost, kept_bytes, mean_cost
from evictlab_tools.verdict.decode import Decoding
from evictlab_tools.verdict.documents import DocumentSet, TokenDocument
from evictlab_tools.verdict.journal import Journal
from evictlab_tools.verdict.judge import DocumentRun, Figures, Judge
from evictlab_tools.verdict.result import Row, Verdict, used
from evictlab_tools.verdict.statistics import Values


@dataclass
class Verdicts:
    """Figures of every document, scorer (or bound) and retention, from the journal or from the model."""

    judge: Judge
    documents: DocumentSet
    scorers: dict[str, Scorer | ExternalScorer]
    budgets: Budgets
    journal: Journal
    model_name: str | None = None
    value_bytes: float | None = 2.0  # None: costs are not measured
    decoding: Decoding | None = None  # the protocol decode, else prefill
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
        missing = [r for r in self.retentions if self.figures(document, row, r) is None]
        return missing if self.decoding is None or not missing else list(self.retentions)  # these ran as one batch

    @property
    def rows(self) -> list[str]:
        if self.decoding is not None:
            return [*self.scorers, *self.decoding.bounds]
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
        cost = None
        try:
            if self.decoding is not None:
                found = self.decoding.figures(run, self._of_library(row))
            else:
                found, cost = self._prefill(run, row, missing)
        except ToolError as error:
            self.failures[row] = f"{row} on {run.document.name}: {error}"
            progress.say(f"error: {self.failures[row]}; its row is left out")
            progress.advance(len(missing))
            return
        names = {"document": run.document.name, "scorer": row}
        for retention, figures in zip(missing, found, strict=True):
            self.journal.add((run.document.hash, self._hash(run.document, row), retention), names, figures, cost)
            cost = None
        progress.advance(len(missing))

    def _prefill(self, run: DocumentRun, row: str, retentions: Sequence[float]) -> tuple[list[Figures], Cost | None]:
        removed = [self.budgets.removed(retention, run.prompt) for retention in retentions]
        kept = run.keep(self.scorers[row], removed) if row in self.scorers else run.keep_oracle(row, removed)
        measured = row in self.scorers and self.value_bytes is not None
        cost = run.cost(self.scorers[row], max(removed)) if measured else None
        return run.measure(kept), cost

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
            cut=self._cut(),
            protocol="prefill" if self.decoding is None else "decode",
            device=source.device,
            scoring=self.judge.scoring.said,
        )

    def _cut(self) -> dict[str, Any]:
        cut = cut_json(self.judge.shape, self.budgets, self.decoding)
        if self.decoding is not None:
            cut["decode"] = {**cut["decode"], "allowed": self.decoding.allowed(self.documents.documents)}
        return cut

    def _cost(self, row: str) -> Cost | None:
        if self.value_bytes is None:
            return None
        costs = [self.journal.cost(d.hash, self._hash(d, row)) for d in self.documents.documents]
        return mean_cost([cost for cost in costs if cost is not None])

    def _kept_bytes(self, row: str, known: list[list[Figures]]) -> Values | None:
        """[retention], mean over documents; None where nothing is said of bytes, no layer evicts, or caches grow and
        shrink."""
        if self.decoding is not None:
            return None
        cache, number = self.journal.cache, self.value_bytes
        if cache is None or number is None or not all(f.cached for of_document in known for f in of_document):
            return None
        prompts, uneven = [document.prompt for document in self.documents.documents], self._uneven(row)
        held = [
            [kept_bytes(cache, prompt, f.kept, f.cached, number, uneven) for f in of_document]
            for prompt, of_document in zip(prompts, known, strict=True)
        ]
        mean: Values = np.array(held).mean(0)
        return mean

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
            self._kept_bytes(row, known),
            {**self._origin(row), **self._along(row, known)},
        )

    def _along(self, row: str, known: list[list[Figures]]) -> dict[str, Any]:
        if self.decoding is None:
            return {}
        documents, given = self.documents.documents, not self.decoding.generate
        along = row_json(known, documents, self.decoding.bin, given=given)
        if row in self.scorers and (frozen := frozen_at(self.retentions, along["continuation_kept"])):
            along["frozen"] = frozen
        return along

    def _of_library(self, row: str) -> Scorer | None:
        scorer = self.scorers.get(row)
        return scorer if isinstance(scorer, Scorer) else None

    def _origin(self, row: str) -> dict[str, Any]:
        scorer = self.scorers.get(row)
        return {"external": scorer.origin} if isinstance(scorer, ExternalScorer) else {}


def cut_json(shape: Shape, budgets: Budgets, decoding: Decoding | None = None) -> dict[str, Any]:
    """What a result says of how its rows were cut, where that is not the usual way."""
    keep: dict[str, Any] = {"keep": list(budgets.keep)} if budgets.keep else {}
    if decoding is not None:
        keep["decode"] = decoding.to_json()
    return keep if shape.usual else {"shape": shape.to_json(), **keep}
