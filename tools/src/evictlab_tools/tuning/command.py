"""evictlab-tune: moves a formula's constants to where the model's own KL divergence is lower."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from evictlab_tools import __version__
from evictlab_tools.binding import Library
from evictlab_tools.calibration import CalibrationFile, open_calibration
from evictlab_tools.device import device_from
from evictlab_tools.documents import manifest_files
from evictlab_tools.errors import UsageError, run_command
from evictlab_tools.files import check_output, write_whole
from evictlab_tools.judge_protocol import SPLITS as SEARCHED
from evictlab_tools.library import Lab
from evictlab_tools.lines import LineWriter, own_stdout
from evictlab_tools.models import open_model
from evictlab_tools.propose.serve import greeting, serve
from evictlab_tools.shown import say
from evictlab_tools.tuning.budgets import UNIFORM
from evictlab_tools.tuning.directions import TERMS, Directions, open_term
from evictlab_tools.tuning.journal import Noted, basis_here, hash_of
from evictlab_tools.tuning.options import parser
from evictlab_tools.tuning.place import Here
from evictlab_tools.tuning.proposer import GradientProposer
from evictlab_tools.tuning.server import TuningServer
from evictlab_tools.tuning.together import asked_of
from evictlab_tools.tuning.tuner import Round, Settings, Tuner, judge_of
from evictlab_tools.tuning.units import check_gradients
from evictlab_tools.verdict.documents import TokenDocument, names_suite, read_named_suite, read_texts
from evictlab_tools.verdict.judge import Judge
from evictlab_tools.verdict.options import parse_retentions, shape_from
from evictlab_tools.verdict.statistics import ratio

# Of who asks; the others say how documents are read. A calibration is for both: who opens formulas, and who reads.
ASKING = ("formula", "propose", "serve", "judge", "seconds", "rounds", "read", "grow", "terms", "seed", "retentions",
          "weights", "tried", "output", "journal", "calibration")  # fmt: skip


def _formula(given: str) -> str:
    path = Path(given)
    return path.read_text(encoding="utf-8").strip() if given.endswith(".formula") else given


def _documents(given: argparse.Namespace, judge: Judge, lab: Lab) -> list[TokenDocument]:
    """Of suites all splits that a search may see; of texts all."""
    documents: list[TokenDocument] = []
    for item in given.inputs:
        found = (
            read_named_suite([item], judge.source, lab.library)
            if names_suite([item])
            else read_texts(
                [item], judge.source, prompt=given.prompt, continuation=given.continuation, kind="text", split="train"
            )
        )
        documents += [document for document in found.documents if document.split in SEARCHED]
    return documents


def _weights(text: str | None, retentions: Sequence[float]) -> tuple[float, ...]:
    if text is None:
        return tuple(1.0 for _ in retentions)
    try:
        weights = tuple(float(part) for part in text.split(","))
    except ValueError:
        weights = ()
    if len(weights) != len(retentions) or min(weights) < 0 or sum(weights) <= 0:
        raise UsageError(
            f"--weights {text}: not {len(retentions)} numbers of at least 0 with commas between, as 1,1,1,0.5"
        )
    return weights


def _print_round(library: Library, number: int, found: Round, tuner: Tuner) -> None:
    verdict = "better" if found.better else "no better, and left out"
    say(f"round {number}: {verdict}")
    if len(found.before):
        say("  KL divergence on valid documents, of that before (geometric mean, 95 % interval over documents):")
        changes = found.after - found.before
        for name, rows in {"": list(range(len(changes))), **tuner.parts}.items():
            of = f" of {name}" if name else ""
            for at, retention in enumerate(tuner.settings.retentions):
                say(f"  {retention:g}{of}: {ratio(library, changes[rows, at]).text('.3f')}")


def command(arguments: Sequence[str] | None = None) -> None:
    given = parser().parse_args(arguments)
    for option, least in (("threads", 1), ("rounds", 1), ("read", 1), ("tried", 1), ("grow", 0)):
        if getattr(given, option) is not None and getattr(given, option) < least:
            raise UsageError(f"--{option} is at least {least}")
    retentions = parse_retentions(given.retentions)
    weights = _weights(given.weights, retentions)
    check_gradients(shape_from(given), given.budgets)
    threads = given.threads or torch.get_num_threads()
    torch.set_num_threads(threads)
    terms = TERMS if given.terms is None else _lines(given.terms)
    settings = Settings(retentions, weights, tuple(terms), given.grow, given.tried, given.seed, given.read)
    if sum((given.formula is not None, given.propose, given.serve)) != 1:
        raise UsageError("give one of --formula, --propose and --serve")
    if given.propose and given.budgets != UNIFORM:
        raise UsageError(f"--propose is for a run, whose judge has uniform budgets, not --budgets {given.budgets}")
    _check_reading(given)
    if given.journal is not None and given.formula is None:
        raise UsageError("--journal is for --formula")
    _check_outputs(given)
    lab = Lab()
    if given.calibration is not None:
        lab.calibrate(given.calibration)
    if given.propose:
        with own_stdout() as answers:
            _propose(given, lab, settings, threads, answers)
    elif given.serve:
        with own_stdout() as answers:
            _serve(given, lab, threads, answers)
    else:
        _tune(given, lab, settings, threads)


def _journal_of(given: argparse.Namespace) -> Path | None:
    path: Path | None = given.journal
    if path is None and given.output is not None and given.formula is not None:
        path = given.output.with_name(given.output.name + ".journal")
    return path


def _check_outputs(given: argparse.Namespace) -> None:
    named = [Path(name) for name in (given.model, given.formula, given.terms, given.calibration) if name is not None]
    read, journal = [*named, *given.inputs, *manifest_files(given.inputs)], _journal_of(given)
    if given.output is not None:
        check_output(given.output, read if journal is None else [*read, journal])
    if journal is not None:
        check_output(journal, read, "--journal")


def _check_reading(given: argparse.Namespace) -> None:
    """Documents are read here, or by a judge: options that say how to are for who reads."""
    if given.judge is None:
        if given.model is None or not given.inputs:
            raise UsageError("give MODEL and INPUTS, or --judge")
        return
    if given.formula is None:
        raise UsageError("--judge is for --formula")
    usual = vars(parser().parse_args([]))
    for option, value in vars(given).items():
        if option not in ASKING and value != usual[option]:
            plain = option.removeprefix("model_").replace("_", "-")
            name = option.upper() if option in ("model", "inputs") else f"--{plain}"
            raise UsageError(f"{name} is for who reads documents: the `evictlab-tune --serve` in the --judge's command")


def _opened(
    given: argparse.Namespace, lab: Lab, threads: int
) -> tuple[Judge, list[TokenDocument], list[TokenDocument]]:
    """The judge, and the documents to train and to validate on."""
    device = device_from(given)
    if device.attention != "sdpa":
        raise UsageError(f"--attention {device.attention} gives evictlab-tune no gradients; give --attention sdpa")
    source = open_model(given.model, given.revision, device)
    if given.calibration is not None:
        open_calibration(given.calibration).check_weights(source.weights)
    judge = judge_of(source, sliding_layers=given.sliding_layers, threads=threads, shape=shape_from(given))
    documents = _documents(given, judge, lab)
    train, valid = ([document for document in documents if document.split == split] for split in SEARCHED)
    if not train:
        raise UsageError("none of the inputs has documents of the split train")
    return judge, train, valid


def _device_words(judge: Judge) -> str:
    words = judge.source.device.words()
    return f", {words}" if words else ""


def _propose(given: argparse.Namespace, lab: Lab, settings: Settings, threads: int, answers: LineWriter) -> None:
    for term in settings.terms:  # before the model, which takes longer
        open_term(lab, term)
    judge, train, _ = _opened(given, lab, threads)
    proposer = GradientProposer(judge, lab, train, settings, given.seconds)
    judge.load(train[0])
    answers.write(greeting(f"gradients of {judge.source.name} (evictlab-tune {__version__}{_device_words(judge)})"))
    serve(sys.stdin.buffer, answers, proposer.propose)


def _calibration(given: argparse.Namespace) -> CalibrationFile | None:
    return None if given.calibration is None else open_calibration(given.calibration)


def _here(judge: Judge, lab: Lab, documents: Sequence[TokenDocument], budgets: str) -> Here:
    return Here(judge, lab, {document.name: document for document in documents}, budgets)


def _serve(given: argparse.Namespace, lab: Lab, threads: int, answers: LineWriter) -> None:
    judge, train, valid = _opened(given, lab, threads)
    server = TuningServer(_here(judge, lab, [*train, *valid], given.budgets), threads, _calibration(given))
    judge.load(train[0])
    answers.write(server.greeting())
    server.serve(sys.stdin.buffer, answers)


def _tune(given: argparse.Namespace, lab: Lab, settings: Settings, threads: int) -> None:
    directions = Directions(lab, _formula(given.formula), settings.terms)  # before the model, which takes longer
    if given.judge is not None:
        with asked_of(given.judge) as asked:
            train, valid = ([name for name, split in asked.documents if split == wanted] for wanted in SEARCHED)
            if not train:
                raise UsageError(f"the judge '{asked.judge}' has no documents of the split train")
            tuner = Tuner(asked, train, valid, settings, asked.parts(valid))
            _noted(given, lab, directions, tuner, asked.basis, {name: name for name, _ in asked.documents})
        return
    judge, train_read, valid_read = _opened(given, lab, threads)
    train, valid = ([document.name for document in documents] for documents in (train_read, valid_read))
    documents = [*train_read, *valid_read]
    here = _here(judge, lab, documents, given.budgets)
    tuner = Tuner(here, train, valid, settings)
    basis = basis_here(here, threads, _calibration(given))
    _noted(given, lab, directions, tuner, basis, {document.name: hash_of(document) for document in documents})


def _noted(
    given: argparse.Namespace,
    lab: Lab,
    directions: Directions,
    tuner: Tuner,
    basis: dict[str, Any],
    hashes: Mapping[str, str],
) -> None:
    """All rounds, with a journal of what documents say where there is a file for it."""
    path = _journal_of(given)
    if path is None:
        _rounds(given, lab, directions, tuner)
        return
    with closing(Noted(tuner.place, path, basis, hashes)) as noted:
        _rounds(given, lab, directions, replace(tuner, place=noted))


def _rounds(given: argparse.Namespace, lab: Lab, directions: Directions, tuner: Tuner) -> None:
    point = directions.at(directions.origin)
    start = point.formula
    for number in range(1, given.rounds + 1):
        found = tuner.round(point, number)
        _print_round(lab.library, number, found, tuner)
        if not found.better:
            if tuner.settings.read is None:
                break  # the same documents would say the same
            continue
        point = found.point
        say(f"  {point.formula}", flush=True)
        if given.output is not None:
            write_whole(given.output, f"{point.formula}\n".encode())
    if given.output is not None and point.formula == start:
        write_whole(given.output, f"{start}\n".encode())
        say(f"nothing better was found: {given.output} has the formula that was given")


def _lines(path: Path) -> list[str]:
    return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def main() -> None:
    sys.exit(run_command(command, "with --output or --journal, the same command goes on from here"))
