"""Figures along the continuation: in bins of so many tokens, by answer, and the warning of a frozen cache."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import fsum
from typing import Any

import numpy as np

from evictlab_tools.verdict.documents import TokenDocument
from evictlab_tools.verdict.judge import Figures
from evictlab_tools.verdict.result import Row, Verdict

FROZEN_BELOW = 0.25  # of `continuation_kept`, as in the tables of benches


def bins_of(continuation: int, size: int) -> list[tuple[int, int]]:
    """[first, past) of a continuation's tokens."""
    return [(first, min(first + size, continuation)) for first in range(0, continuation, size)]


def _means(values: Sequence[float], bins: Sequence[tuple[int, int]]) -> list[float | None]:
    parts = [values[first:past] for first, past in bins]
    return [fsum(part) / len(part) if part else None for part in parts]


def row_json(
    by_document: Sequence[Sequence[Figures]], documents: Sequence[TokenDocument], size: int, *, given: bool = True
) -> dict[str, Any]:
    """What a row's JSON has beside its means; of figures [document][retention]. A text that is not `given` has its
    answers nowhere."""
    retentions = range(len(by_document[0]))
    known = [[figures.more or {} for figures in of_document] for of_document in by_document]
    bins = [bins_of(len(document.ids) - document.prompt, size) for document in documents]
    longest = max(bins, key=len)

    def along(name: str) -> list[list[list[float | None]]]:
        return [[_means(known[d][r][name], bins[d]) for r in retentions] for d in range(len(documents))]

    result: dict[str, Any] = {
        "along": {
            "kl": along("kl"),
            "delta_nll": along("delta_nll"),
            "retention_used": [[_used(known, documents, r, part) for part in longest] for r in retentions],
            "churn": [[_churn(known, r, part) for part in longest] for r in retentions],
        },
        "continuation_kept": [
            fsum(of_document[r]["continuation_kept"] for of_document in known) / len(known) for r in retentions
        ],
        "largest": [max(of_document[r]["largest"] for of_document in known) for r in retentions],
    }
    if given and any(document.lookups for document in documents):
        result["answers"] = [
            [_answers(known[d][r], document) for r in retentions] for d, document in enumerate(documents)
        ]
    return result


def _used(
    known: Sequence[Sequence[Mapping[str, Any]]],
    documents: Sequence[TokenDocument],
    retention: int,
    part: tuple[int, int],
) -> float:
    """Cached tokens after the part's steps, over those that had come."""
    cached = seen = 0
    for of_document, document in zip(known, documents, strict=True):
        more = of_document[retention]
        steps = range(part[0], min(part[1], len(more["cached"])))
        cached += sum(more["cached"][step] for step in steps)
        seen += more["heads"] * sum(document.prompt + step + 1 for step in steps)
    return cached / seen


def _churn(known: Sequence[Sequence[Mapping[str, Any]]], retention: int, part: tuple[int, int]) -> float:
    """Tokens that an earlier cut had left and that went in the part, over those that came in it."""
    replaced = came = 0
    for of_document in known:
        more = of_document[retention]
        went = more["replaced"][part[0] : part[1]]
        replaced += sum(went)
        came += more["heads"] * len(went)
    return replaced / came


def _answers(more: Mapping[str, Any], document: TokenDocument) -> list[dict[str, float | bool | None]]:
    """Of each answer's tokens, as they are foretold by what stands before them; and whether each is the likeliest,
    so that a model that answers by itself gives it."""
    found = []
    for lookup in document.lookups:
        first, past = lookup.first - 1 - document.prompt, lookup.past - 1 - document.prompt
        answer: dict[str, float | bool | None] = {
            name: _means(more[name], [(first, past)])[0] for name in ("kl", "delta_nll")
        }
        if "right" in more:  # journals of before have none
            answer["right"] = all(more["right"][first:past])
        found.append(answer)
    return found


def _sizes(verdict: Verdict) -> list[str]:
    keep = verdict.cut.get("keep")
    return [str(cells) for cells in keep] if keep else [f"{retention:g}" for retention in verdict.retentions]


def frozen_at(retentions: Sequence[float], continuation_kept: Sequence[float]) -> list[float]:
    """The retentions at which hardly a later token survives in a scorer's cache."""
    return [retention for retention, kept in zip(retentions, continuation_kept, strict=True) if kept < FROZEN_BELOW]


def frozen(verdict: Verdict) -> list[str]:
    """Rows and sizes whose cache hardly a later token survives."""
    sizes = _sizes(verdict)
    return [
        f"{row.scorer} at {sizes[r]} ({row.more['continuation_kept'][r]:.2f})"
        for row in verdict.rows
        for r, retention in enumerate(verdict.retentions)
        if retention in row.more.get("frozen", ())
    ]


def _cells(row: Row, retention: int, counted: Sequence[int], bins: int) -> Iterator[str]:
    by_document = [row.more["along"]["kl"][d][retention] for d in counted]
    for at in range(bins):
        there = [of_document[at] for of_document in by_document if at < len(of_document)]
        yield f"{np.mean(there):.4f}"


def table(verdict: Verdict) -> str:
    """Markdown: KL divergence by bin, and what became of the caches."""
    size, counted = int(verdict.cut["decode"]["bin"]), verdict.counted
    documents = verdict.documents.documents
    bins = bins_of(max(len(documents[d].ids) - documents[d].prompt for d in counted), size)
    names = [f"{first}-{past - 1}" for first, past in bins]
    lines = [
        "| " + " | ".join(["scorer", "cache", *names, "churn", "later tokens kept", "most cached"]) + " |",
        "|---|---|" + "---:|" * (len(names) + 3),
    ]
    for row in verdict.rows:
        for r, cells in enumerate(_sizes(verdict)):
            churn = row.more["along"]["churn"][r]
            last = [f"{np.mean(churn):.2f}", f"{row.more['continuation_kept'][r]:.2f}", f"{row.more['largest'][r]}"]
            parts = [f"`{row.scorer}`", cells, *_cells(row, r, counted, len(bins)), *last]
            lines.append("| " + " | ".join(parts) + " |")
    return "\n".join(lines)


def answers_table(verdict: Verdict) -> str:
    """Markdown: KL divergence, change of the likelihood and share that is right of each answer in turn; "" where there
    are none."""
    counted = [d for d in verdict.counted if verdict.documents.documents[d].lookups]
    if not counted or "answers" not in verdict.rows[0].more:
        return ""
    most = max(len(verdict.documents.documents[d].lookups) for d in counted)
    head = ["scorer", "cache", *(f"answer {number + 1}" for number in range(most))]
    lines = ["| " + " | ".join(head) + " |", "|---|---|" + "---:|" * most]
    if verdict.uncompressed:
        right = [[told for _, told in verdict.uncompressed[d].lookups] for d in counted]
        parts = ["full cache", "", *(f"{np.mean(_nth(right, number)):.2f}" for number in range(most))]
        lines.append("| " + " | ".join(parts) + " |")
    for row in verdict.rows:
        for r, cells in enumerate(_sizes(verdict)):
            answers = [row.more["answers"][d][r] for d in counted]
            cell = [_answer_cell(_nth(answers, number)) for number in range(most)]
            lines.append("| " + " | ".join([f"`{row.scorer}`", cells, *cell]) + " |")
    return "\n".join(lines)


def _nth(by_document: Sequence[Sequence[Any]], number: int) -> list[Any]:
    return [of_document[number] for of_document in by_document if number < len(of_document)]


def _answer_cell(answers: Sequence[Mapping[str, Any]]) -> str:
    kl, change = (np.mean([answer[name] for answer in answers]) for name in ("kl", "delta_nll"))
    right = [answer["right"] for answer in answers if "right" in answer]
    return f"{kl:.4f} / {change:+.4f}" + (f" / {np.mean(right):.2f}" if right else "")


def report(verdict: Verdict) -> str:
    """What `evictlab-verdict --protocol decode` prints below the table of means."""
    shown, decode = len(verdict.counted), verdict.cut["decode"]
    text = (
        f"Protocol decode, schedule {decode['schedule']}, text {decode['text']}: KL divergence along the continuation, "
        f"in bins of {decode['bin']} tokens, mean over {shown} documents. Churn: of tokens that come, how many drive "
        "out one that an earlier cut had left. Later tokens kept: what is cached of the continuation at its end, over "
        f"what keeping all alike would hold. Most cached: by a head, while it attends.\n\n{table(verdict)}"
    )
    if answers := answers_table(verdict):
        text += (
            "\n\nBy answer, in the order of the questions, over its tokens: KL divergence / change of the negative "
            "log-likelihood, nats a token / share of documents in which the model gives it, each token the likeliest "
            f"behind the right ones before (of the full cache that alone).\n\n{answers}"
        )
    if found := frozen(verdict):
        text += (
            "\n\nFrozen caches, which hardly a token of the continuation survives (in brackets the share of what "
            f"keeping all alike would hold): {', '.join(found)}."
        )
    return text
