"""evictlab-tasks: makes examples of tasks, and measures what eviction leaves of their answers."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import torch

from evictlab_tools import __version__
from evictlab_tools.calibration import CalibrationFile, open_calibration
from evictlab_tools.cuts import budgets_of_numbers
from evictlab_tools.device import device_from
from evictlab_tools.documents import manifest_files
from evictlab_tools.errors import ToolError, UsageError, run_command
from evictlab_tools.example import QUESTIONS
from evictlab_tools.external.names import separate
from evictlab_tools.external.scorer import open_external
from evictlab_tools.files import check_output, write_whole
from evictlab_tools.library import Lab
from evictlab_tools.models import open_model
from evictlab_tools.progress import Progress
from evictlab_tools.scoring.choice import scoring_on
from evictlab_tools.shapes import Budgets
from evictlab_tools.shard import files_of_shards, parse_shard
from evictlab_tools.shown import complain, say
from evictlab_tools.tasks.catalogue import TASKS, chosen
from evictlab_tools.tasks.correlate import Damage, correlate, correlations_json, correlations_to_text, read_measures
from evictlab_tools.tasks.documents import manifests, read_tasks
from evictlab_tools.tasks.make import Making, Setting, document_of, write_folder
from evictlab_tools.tasks.options import RETENTIONS, SCORERS, parser
from evictlab_tools.tasks.prose import SPLITS, passages
from evictlab_tools.tasks.result import Result, result_of, to_json
from evictlab_tools.tasks.run import TaskJournal, TaskRun
from evictlab_tools.tasks.table import tables
from evictlab_tools.verdict.judge import Judge
from evictlab_tools.verdict.opening import open_scorers, scored_by, typed_names
from evictlab_tools.verdict.options import parse_numbers, parse_retentions, shape_from
from evictlab_tools.verdict.result import dump
from evictlab_tools.verdict.verdicts import cut_json

MADE_BY = f"evictlab-tasks {__version__}"
LISTED = ("cells", "documents", "rows")


def parse_counts(text: str) -> dict[str, int]:
    """Examples of each split: N of test, or TRAIN/VALID/TEST."""
    parts = text.split("/")
    if len(parts) == 1:
        parts = ["0", "0", text]
    if len(parts) != 3 or not all(part.isdecimal() for part in parts) or not any(map(int, parts)):
        raise UsageError(f"--examples {text}: write a number, or TRAIN/VALID/TEST such as 8/4/20")
    return dict(zip(SPLITS, map(int, parts), strict=True))


def make(given: argparse.Namespace) -> None:
    tasks, counts = chosen(given.tasks, given.digits), parse_counts(given.examples)
    if given.tokens < 1:
        raise UsageError("--tokens is at least 1")
    if given.turns < 1:
        raise UsageError("--turns is at least 1")
    if not 1 <= given.digits <= 15:
        raise UsageError("--digits is from 1 to 15")
    tokenizer = open_model(given.model, given.revision).tokenizer
    settings = [
        Setting(
            given.tokens,
            given.seed,
            split,
            tokenizer,
            passages(given.root, given.texts, split) if any(task.prose for task in tasks) else (),
            not given.plain,
        )
        for split, count in counts.items()
        if count
    ]
    # Several questions are never known before the prompt is cut.
    folders = {question: question for question in QUESTIONS} if given.turns == 1 else {"turns": "unseen"}
    total = len(folders) * len(tasks) * sum(counts.values())
    with Progress("examples", total, unit="example") as progress:
        for name, question in folders.items():
            documents = []
            for task in tasks:
                for setting in settings:
                    for example in range(counts[setting.split]):
                        documents.append(document_of(Making(task, setting, question, example, given.turns)))
                        progress.advance()
            folder = given.out / name
            continuation = write_folder(folder, documents, given.tokens, tokenizer)
            say(
                f"{folder / 'manifest.json'}: {len(documents)} examples; for evictlab-capture and evictlab-verdict "
                f"--prompt {given.tokens} --continuation {continuation}"
                + (", and of verdicts --protocol decode --schedule turns or once" if given.turns > 1 else "")
            )


def _open_lab(given: argparse.Namespace) -> tuple[Lab, CalibrationFile | None]:
    lab = Lab(given.plugin_dir)
    for problem in lab.problems:
        complain(f"warning: {problem}")
    calibration = open_calibration(given.calibration) if given.calibration is not None else None
    if calibration is not None:
        lab.calibrate(calibration.path)
    return lab, calibration


def _check_outputs(given: argparse.Namespace, journal: Path, lab: Lab) -> None:
    files = manifests(given.inputs)
    scorers = [file for texts in separate(given.scorers or [])[1] for file in lab.library.scorer_files(texts)]
    read = [Path(given.model), *files, *manifest_files(files), *scorers]
    read += [path for path in (given.calibration, *_outside(given)) if path is not None]
    check_output(given.output, [*read, journal])
    check_output(journal, read, "--journal")


def _outside(given: argparse.Namespace) -> list[Path]:
    """Verdicts and benches whose measures are held against what is right."""
    return [path for path in given.correlate or [] if path != Path()]


def run(given: argparse.Namespace) -> None:
    for option in ("threads", "examples", "new_tokens"):
        if getattr(given, option) is not None and getattr(given, option) < 1:
            raise UsageError(f"--{option.replace('_', '-')} is at least 1")
    if given.keep is not None and given.retentions is not None:
        raise UsageError("give --retentions or --keep, not both: shares of a prompt's tokens, or numbers of them")
    retentions = parse_retentions(given.retentions or ",".join(map(str, RETENTIONS)))
    numbers = () if given.keep is None else parse_numbers(given.keep)
    shape = shape_from(given)
    shard = parse_shard(given.shard)
    if shard is not None and given.correlate is not None:
        raise UsageError("--correlate is of all examples: add it to the command that puts the parts together")
    whole = given.journal or given.output.with_name(given.output.name + ".journal")
    path = whole if shard is None else shard.beside(whole)
    lab, calibration = _open_lab(given)
    _check_outputs(given, path, lab)
    outside = {measure: damage for path in _outside(given) for measure, damage in read_measures(path).items()}
    threads = given.threads or torch.get_num_threads()
    torch.set_num_threads(threads)
    names, asked = separate(given.scorers or [SCORERS])
    scorers, external = open_scorers(lab, asked, shape), open_external(names, shape, decodes=False)
    source = open_model(given.model, given.revision, device_from(given))
    documents = read_tasks(given.inputs, source.tokenizer, given.examples)
    sources = {}
    if calibration is not None and any(scorer.needs.calibration for scorer in scorers.values()):
        calibration.check_weights(source.weights)
        sources["calibration"] = f"sha256:{calibration.sha256}"
    scoring = scoring_on(given.scoring, source.device)
    scorers = scored_by(scoring, scorers, typed_names(lab, asked))
    prompts = [document.tokens.prompt for document in documents]
    budgets = budgets_of_numbers(numbers, prompts) if numbers else Budgets(retentions)
    judge = Judge(
        source,
        sliding_layers=given.sliding_layers,
        threads=threads,
        shape=shape,
        on_answers=True,
        scoring=scoring,
    )
    basis = {
        "by": MADE_BY,
        "weights": source.weights,
        "sliding_layers": given.sliding_layers,
        "new_tokens": given.new_tokens,
        **sources,
        **source.device.field,
        **scoring.said,
        **cut_json(shape, budgets),
    }
    own = [document for at, document in enumerate(documents) if shard is None or shard.has(at)]
    journal = TaskJournal(path, basis, files_of_shards(whole) if shard is None else ())
    with closing(journal):
        task_run = TaskRun(judge, own, {**scorers, **external}, budgets, journal, given.new_tokens)
        task_run.run()
    if shard is None:
        _write(given, lab, result_of(task_run, given.model_name or source.name, sources), outside)
    else:
        say(f"{path}: part {shard.index} of {shard.count}, {len(own)} examples")
    if task_run.failures:
        raise ToolError(f"{len(task_run.failures)} scorer(s) failed and have no row")


def _write(given: argparse.Namespace, lab: Lab, result: Result, outside: Mapping[str, Damage]) -> None:
    correlations = [] if given.correlate is None else correlate(result, lab.library, outside)
    value = to_json(result, MADE_BY)
    if correlations:
        value["correlations"] = correlations_json(correlations)
    write_whole(given.output, dump(value, LISTED))
    say(tables(result))
    if correlations:
        say("\n" + correlations_to_text(correlations))


def list_tasks() -> None:
    for task in TASKS.values():
        say(f"{task.name:<18} {task.format:<9} {task.about}")


def command(arguments: Sequence[str] | None = None) -> None:
    given = parser().parse_args(arguments)
    if given.command == "make":
        make(given)
    elif given.command == "run":
        run(given)
    else:
        list_tasks()


def main() -> None:
    sys.exit(run_command(command))
