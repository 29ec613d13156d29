"""evictlab-verdict: what does a model itself say of what scorers evict?"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from shutil import get_terminal_size

import torch

from evictlab_tools import __version__
from evictlab_tools.binding import Library
from evictlab_tools.calibration import CalibrationFile
from evictlab_tools.cuts import budgets_of_numbers
from evictlab_tools.device import device_from
from evictlab_tools.documents import manifest_files
from evictlab_tools.errors import ToolError, UsageError, run_command
from evictlab_tools.external.names import separate
from evictlab_tools.external.scorer import ExternalScorer, open_external
from evictlab_tools.files import check_output, sha256_of_bytes, write_whole
from evictlab_tools.judge_protocol import PROTOCOLS
from evictlab_tools.library import USUAL, Scorer
from evictlab_tools.lines import own_stdout
from evictlab_tools.models import estimate_of, open_model
from evictlab_tools.scoring.choice import NATIVE, scoring_on
from evictlab_tools.shapes import Budgets
from evictlab_tools.shown import complain, say
from evictlab_tools.suite import SUITE_FILE
from evictlab_tools.verdict.along import report
from evictlab_tools.verdict.correlate import correlate, correlations_to_text, read_bench, run_bench
from evictlab_tools.verdict.decode import check_of, decoding_from, schedule_from
from evictlab_tools.verdict.documents import TokenDocument, names_suite
from evictlab_tools.verdict.journal import Journal
from evictlab_tools.verdict.judge import Judge
from evictlab_tools.verdict.opening import (
    check_calibration,
    open_documents,
    open_lab,
    open_scorers,
    scored_by,
    typed_names,
)
from evictlab_tools.verdict.options import RETENTIONS, WAYS, parse_numbers, parse_retentions, parser, shape_from
from evictlab_tools.verdict.result import Verdict, dump, to_json
from evictlab_tools.verdict.serve import Server
from evictlab_tools.verdict.verdicts import Verdicts, cut_json

MADE_BY = f"evictlab-verdict {__version__}"


def _print_table(file: Path, library: Library, plugin_dirs: Sequence[Path], wide: bool) -> None:
    """Of the verdict in the file, which is written whether or not there is a table.

    On a terminal one that fits, else (a file, a pipe, --wide) all tables as Markdown.
    """
    folders = [f"--plugin-dir={folder}" for folder in plugin_dirs]
    fits = sys.stdout.isatty() and not wide
    columns = [f"--columns={max(40, get_terminal_size().columns)}"] if fits else []
    try:
        say(library.run_program("report", f"--verdict={file}", *columns, *folders).rstrip("\n"))
    except ToolError as error:
        wanted = shlex.join(["evictlab", "report", f"--verdict={file}", *folders])
        complain(f"{file} is written, but there is no table of it: {error}; `{wanted}` prints one")


def _print_correlation(
    bench: str, library: Library, verdict: Verdict, scorers: Sequence[Scorer], plugin_dirs: Sequence[Path]
) -> None:
    found = run_bench(library, verdict, scorers, plugin_dirs) if bench == "" else read_bench(Path(bench), verdict)
    correlations = correlate(library, verdict, found)
    say(
        f"Which offline measure predicts the KL divergence: mean over {correlations[0].documents} documents of the "
        f"rank correlation (Spearman) over {correlations[0].scorers} scorers, with 95 % intervals"
    )
    say(correlations_to_text(correlations))


def _serve(given: argparse.Namespace) -> None:
    ways = ["retentions", "keep", "granularity", "join", "block", "block_score", "sinks", "recent"]
    ways += ["schedule", "generate", "bin"]
    if given.protocol in WAYS:
        raise UsageError(f"--protocol {given.protocol} has no meaning with --serve, which judges by prefill")
    for option in ("split", "journal", "correlate", "value_bytes", "no_cost", *ways):
        if getattr(given, option) is not None:
            name = option.replace("_", "-")
            raise UsageError(
                f"--{name} has no meaning with --serve: requests say what is judged, and answers are KL alone"
            )
    if not names_suite(given.inputs):
        raise UsageError(f"--serve needs a captured suite, and {given.inputs[0]} has no {SUITE_FILE}")
    names, others = separate(given.scorers or [])
    if others:
        raise UsageError(
            f"--scorers {others[0]} has no meaning with --serve, as requests say what is judged; there it names the "
            "presses and functions of Python (module:name) that they may ask for"
        )
    if names and given.workers != 1:
        raise UsageError(
            f"--scorers {','.join(names)} with --serve needs --workers 1: Python's own run inside the model, which "
            "workers share; evictlab-farm asks many such judges"
        )
    threads = given.threads or 1
    workers = given.workers or max(1, (os.cpu_count() or 1) // threads)
    torch.set_num_threads(threads)
    with own_stdout() as answers:  # before modules that may print
        external = open_external(names, USUAL, decodes=False)
        lab, calibration = open_lab(given)
        source = open_model(given.model, given.revision, device_from(given))
        on_answers = given.on == "answers"
        judge = Judge(
            source,
            sliding_layers=given.sliding_layers,
            threads=workers * threads,
            on_answers=on_answers,
            scoring=scoring_on(given.scoring, source.device),
        )
        documents = open_documents(given, judge, lab.library)
        if on_answers:
            documents = documents.with_answers()
        if calibration is not None:
            calibration.check_weights(source.weights)
        asked = None if given.calibration is None or calibration is None else calibration.sha256
        server = Server(judge, documents, lab, workers=workers, threads=threads, calibration=asked, external=external)
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
    if given.dry_run:
        say(estimate_of(given))
    elif given.serve:
        _serve(given)
    elif given.workers is not None or given.protocol in PROTOCOLS:
        raise UsageError(f"--{'workers' if given.workers is not None else 'protocol'} is for --serve")
    elif given.on != "continuation":
        raise UsageError(f"--on {given.on} is for --serve; evictlab-tasks run measures answers by themselves")
    else:
        _measure(given)


def _check_outputs(given: argparse.Namespace, journal: Path, library: Library) -> None:
    scorers = [file for texts in separate(given.scorers or [])[1] for file in library.scorer_files(texts)]
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
    lab, calibration = open_lab(given)
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
    names, asked = separate(given.scorers or ["all"])
    schedule = schedule_from(given)
    decodes = schedule is not None
    if decodes and given.scoring == "torch":
        raise UsageError("--scoring torch is for the protocol prefill: libevictlab decides what decode keeps")
    scorers = open_scorers(lab, asked, shape, Scorer.check_shape if schedule is None else check_of(schedule))
    if calibration is None and any("all" in texts.split(",") for texts in asked):
        complain("note: all leaves out the scorers that read a calibration, as there is none; see --calibration")
    source = open_model(given.model, given.revision, device_from(given))
    scoring = NATIVE if decodes else scoring_on(given.scoring, source.device)
    scorers = scored_by(scoring, scorers, typed_names(lab, asked))
    rows: dict[str, Scorer | ExternalScorer] = {**scorers, **open_external(names, shape, decodes=decodes)}
    judge = Judge(source, sliding_layers=given.sliding_layers, threads=threads, shape=shape, scoring=scoring)
    documents = open_documents(given, judge, lab.library).of_splits(given.split or ["test", "test_other_model"])
    check_calibration(calibration, scorers.values(), judge, documents)
    prompts = [document.prompt for document in documents.documents]
    budgets = budgets_of_numbers(numbers, prompts) if numbers else Budgets(retentions)
    basis = {"by": MADE_BY, "weights": source.weights, "sliding_layers": given.sliding_layers}
    decoding = None if schedule is None else decoding_from(given, schedule, budgets, documents.documents)
    basis.update(cut_json(shape, budgets, decoding) | source.device.field | scoring.said)
    if decoding is not None:
        basis["retentions"] = list(budgets.retentions)  # which run as one batch
    journal = Journal(path, basis)
    with closing(journal):
        verdicts = Verdicts(judge, documents, rows, budgets, journal, given.model_name, value_bytes, decoding)
        verdicts.run()
    judged = [scorer for row, scorer in scorers.items() if row not in verdicts.failures]
    verdict = replace(verdicts.verdict(), sources=_sources(calibration, judged, documents.documents))
    write_whole(given.output, dump(to_json(verdict, MADE_BY)))
    _print_table(given.output, lab.library, given.plugin_dir, given.wide)
    if decoding is not None:
        say(report(verdict))
    if given.correlate is not None:
        _print_correlation(given.correlate, lab.library, verdict, judged, given.plugin_dir)
    if verdicts.failures:
        raise ToolError(f"{len(verdicts.failures)} scorer(s) failed and have no row")


def main() -> None:
    sys.exit(run_command(command))
