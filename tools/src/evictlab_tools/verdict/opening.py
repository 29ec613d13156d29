"""What a verdict is about, from its options: scorers, documents, and a calibration of the model."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence

from evictlab_tools.binding import Library
from evictlab_tools.calibration import CalibrationFile, calibration_of_suite, open_calibration
from evictlab_tools.errors import UsageError
from evictlab_tools.library import USUAL, Lab, Scorer
from evictlab_tools.scoring.choice import Scoring
from evictlab_tools.shapes import Shape
from evictlab_tools.shown import complain
from evictlab_tools.verdict.correlate import RANDOM
from evictlab_tools.verdict.documents import DocumentSet, named_folder, names_suite, read_named_suite, read_texts
from evictlab_tools.verdict.judge import Judge


def typed_names(lab: Lab, lists: Sequence[str]) -> set[str]:
    """Full names of the scorers that the lists name, and not `all` alone."""
    every = {lab.full_name(text) for text in lab.scorers}
    typed = {lab.full_name(part.strip()) for texts in lists for part in re.split(r",(?![^()]*\))", texts)}
    asked = (lab.full_name(text) for texts in lists for text in lab.split(texts))
    return {text for text in asked if text in typed or text not in every}


def open_scorers(
    lab: Lab, lists: Sequence[str], shape: Shape = USUAL, check: Callable[[Scorer, Shape], None] = Scorer.check_shape
) -> dict[str, Scorer]:
    """Those asked for, by their names, without repetition, and random.

    What cannot be had, as `check` says, is refused, and left out of what nobody named by itself.
    """
    scorers: dict[str, Scorer] = {}
    left_out, typed = [], typed_names(lab, lists)
    for text in dict.fromkeys(lab.full_name(text) for texts in lists for text in lab.split(texts)):
        scorer = lab.open(text)
        if (other := scorers.get(scorer.name)) is not None:
            if other.hash != scorer.hash:
                raise UsageError(f"{other.text} and {scorer.text} would both be the row '{scorer.name}': rename one")
            continue
        try:
            check(scorer, shape)
        except UsageError:
            if text in typed:
                raise
            left_out.append(text)
            continue
        scorers[scorer.name] = scorer
    if left_out:
        complain(f"note: all leaves out what cannot be had this way: {', '.join(left_out)}")
    if not any(scorer.plugin == RANDOM for scorer in scorers.values()):
        scorers[RANDOM] = lab.open(RANDOM)
    return scorers


def scored_by(scoring: Scoring, scorers: Mapping[str, Scorer], typed: Container[str]) -> dict[str, Scorer]:
    """Those that can be scored so: what was named is refused else, and what nobody named is left out."""
    found: dict[str, Scorer] = {}
    for name, scorer in scorers.items():
        try:
            scoring.of(scorer)
        except UsageError as error:
            if scorer.text in typed:
                raise
            complain(f"note: all leaves out {error}")
            continue
        found[name] = scorer
    return found


def open_documents(given: argparse.Namespace, judge: Judge, library: Library) -> DocumentSet:
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


def open_lab(given: argparse.Namespace) -> tuple[Lab, CalibrationFile | None]:
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


def check_calibration(
    calibration: CalibrationFile | None, scorers: Iterable[Scorer], judge: Judge, documents: DocumentSet
) -> None:
    """Where a scorer reads it: it is of these weights, and no document here was learned from, but for train ones."""
    if calibration is None or not any(scorer.needs.calibration for scorer in scorers):
        return
    calibration.check_weights(judge.source.weights)
    calibration.check_documents(d.name.rpartition("/")[2] for d in documents.documents if d.split != "train")
