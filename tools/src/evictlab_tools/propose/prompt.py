"""What the language model is told, and how formulas are found in what it says."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from evictlab_tools.errors import ToolError

TASK = """\
You design eviction rules for the KV cache of a language model. A rule is a formula that gives every cached token of a \
prompt a score, in each layer and KV head; tokens with the highest scores are kept, the others are evicted for good. \
The queries of the text that follows then judge what was kept. You see the rules found so far with their errors \
(lower is better), and rules that were rejected, with the reason. Propose new ones that are better, each for a reason \
of its own: a new idea rather than a changed constant, for constants are tuned afterwards. What wins on train must \
also win on documents that you do not see, so prefer few nodes and effects that hold for every kind of text.

A formula is one line:
- numbers (3, .5, 1e-3), columns by name (parameters follow after ':', as window_attn:64), `keep` and `drop` (plus and \
minus infinity);
- + - * / and ^ (power, from the right), unary -, parentheses;
- exp(a) log(a) sqrt(a) abs(a) tanh(a), min(a, b, ...) max(a, b, ...) with two arguments or more;
- a < b, <=, >, >=, == give 1 or 0 and do not chain; if(condition, a, b) is a where the condition is not 0, else b.
Every operation has a value everywhere (a/0 is 0, log and sqrt of negative numbers are protected). There are no other \
functions, no assignments and no variables. Each number, column and operator is a node.

Answer with JSON alone, in this form:
{"proposals": [{"formula": "...", "hypothesis": "one sentence: why it should keep better tokens"}]}"""

FENCED = re.compile(r"```[a-zA-Z]*\s*\n(.*?)```", re.DOTALL)
THOUGHTS = re.compile(r"<think>.*?</think>", re.DOTALL)  # of models that show them; drafts are no answer


def _error(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, int | float) else "unknown"


def _described(entry: Mapping[str, Any]) -> str:
    text = f"- {entry.get('formula')}"
    return f"{text}\n  idea: {entry['hypothesis']}" if entry.get("hypothesis") else text


def _champion(entry: Mapping[str, Any]) -> Iterator[str]:
    yield f"{_described(entry)}\n  error: train {_error(entry.get('train'))}, valid {_error(entry.get('valid'))}"
    for name, errors in (entry.get("documents") or {}).items():
        yield f"  {name}: {', '.join(map(_error, errors))}"


def _lines(request: Mapping[str, Any]) -> Iterator[str]:
    retentions = ", ".join(map(str, request.get("retentions", [])))
    yield f"Suite {request.get('suite')}; the error is {request.get('measure')}, mean over documents and over the"
    yield f"shares of tokens kept {retentions}; a document's line has its error at each of these shares."
    yield "\nColumns of a token:"
    for column in request.get("columns", []):
        yield f"- {column.get('name')}: {column.get('help', '')}"
    yield "\nChampions so far, oldest first; the last one is to be beaten:"
    for entry in request.get("champions", []):
        yield from _champion(entry)
    if rejected := request.get("rejected"):
        yield "\nRejected:"
        for entry in rejected:
            yield f"{_described(entry)}\n  rejected: {entry.get('reason', 'no reason given')}"
    yield f"\nPropose {request.get('wanted', 1)} formulas of at most {request.get('max_nodes', 60)} nodes."


def messages(request: Mapping[str, Any]) -> list[dict[str, str]]:
    """Of a chat, for one request of the protocol; ToolError where its parts are of another kind than they must be."""
    try:
        described = "\n".join(_lines(request))
    except (AttributeError, TypeError) as error:
        raise ToolError(f"the request is not of this protocol: {error}") from None
    return [{"role": "system", "content": TASK}, {"role": "user", "content": described}]


def _values(text: str) -> Iterator[Any]:
    """The JSON values in a text: the whole, what is in code fences, or what begins at any bracket."""
    for part in (text, *FENCED.findall(text)):
        try:
            yield json.loads(part)
        except (ValueError, RecursionError):
            continue
    decoder = json.JSONDecoder()
    for start in (match.start() for match in re.finditer(r"[\[{]", text)):
        try:
            yield decoder.raw_decode(text, start)[0]
        except (ValueError, RecursionError):
            continue


def _proposals(value: Any) -> list[dict[str, str]]:
    entries: Any = value
    if isinstance(value, dict):
        entries = value.get("proposals", value.get("formulas", [value]))
    found = []
    for entry in entries if isinstance(entries, list) else []:
        formula = entry.get("formula") if isinstance(entry, dict) else None
        if isinstance(formula, str) and formula.strip():
            hypothesis = entry.get("hypothesis")
            hypothesis = hypothesis.strip() if isinstance(hypothesis, str) else ""
            found.append({"formula": formula.strip().removeprefix("=").strip(), "hypothesis": hypothesis})
    return found


def parse(text: str) -> list[dict[str, str]]:
    """The proposals in a model's answer; ToolError where there are none."""
    for value in _values(THOUGHTS.sub("", text)):
        if found := _proposals(value):
            return found
    shown = text.strip().replace("\n", " ")[:200]
    raise ToolError(f"the model's answer has no JSON with formulas; it begins: {shown!r}")
