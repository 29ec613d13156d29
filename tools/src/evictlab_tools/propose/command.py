"""evictlab-propose: a proposer for `evictlab evolve` that asks a language model (protocol evictlab-proposer/1)."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import argparse
import os
import sys
import time
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from evictlab_tools import __version__
from evictlab_tools.errors import ToolError, UsageError, run_command
from evictlab_tools.library import Lab
from evictlab_tools.lines import own_stdout
from evictlab_tools.propose.endpoint import Endpoint
from evictlab_tools.propose.prompt import messages, parse
from evictlab_tools.propose.serve import TIMEOUT, Proposals, greeting, serve
from evictlab_tools.shown import complain

Check = Callable[[str], str | None]  # why a formula is refused


def formula_check() -> Check:
    """The library's word where it is installed; else all pass, and evolve refuses wrong ones with its reason."""
    try:
        lab = Lab()
    except ToolError as error:
        complain(f"formulas are not checked here: {error}")
        return lambda _formula: None

    def refusal(formula: str) -> str | None:
        try:
            lab.open("=" + formula)
        except (ToolError, UnicodeEncodeError) as error:
            return str(error)
        return None

    return refusal


class Proposer:
    """Asks the endpoint once a request, and once more with the reasons where it gave no good formula."""

    def __init__(self, endpoint: Endpoint, check: Check, timeout: float = TIMEOUT) -> None:
        self._endpoint, self._check, self._timeout = endpoint, check, timeout

    def propose(self, request: Mapping[str, Any]) -> Proposals:
        chat = messages(request)
        deadline = time.monotonic() + self._timeout
        said = self._endpoint.complete(chat, self._timeout)
        good, refused = self._sorted_out(said)
        if not good:
            complaint = (
                "None of these formulas can be used:\n" + "\n".join(refused) + "\nAnswer anew, in the same form."
            )
            again = [*chat, {"role": "assistant", "content": said}, {"role": "user", "content": complaint}]
            good, refused = self._sorted_out(self._endpoint.complete(again, deadline - time.monotonic()))
        for reason in refused:
            complain(f"left out: {reason}")
        if not good:
            raise ToolError(f"no formula of the model's answer can be used: {refused[0]}")
        return good

    def _sorted_out(self, said: str) -> tuple[Proposals, list[str]]:
        """Those that can be used, and of the others why not."""
        good, refused = [], []
        for proposal in parse(said):
            if (reason := self._check(proposal["formula"])) is None:
                good.append(proposal)
            else:
                refused.append(f"{proposal['formula']}: {reason}")
        return good, refused


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="evictlab-propose",
        description="Proposes formulas to `evictlab evolve` by asking a language model behind an OpenAI-compatible "
        "chat-completions endpoint. It reads requests from standard input and answers on standard output.",
        epilog="example: evictlab evolve --suite smollm2 --state run.json --proposer "
        "'evictlab-propose --endpoint http://localhost:8000/v1 --model NAME'",
    )
    add = result.add_argument
    add("--version", action="version", version=f"%(prog)s {__version__}")
    add("--endpoint", required=True, metavar="URL", help="its base, as http://localhost:8000/v1")
    add("--model", required=True, help="as the endpoint calls it")
    add("--api-key-env", default="OPENAI_API_KEY", metavar="NAME", help="environment variable with the key; without "
        "one, none is sent (OPENAI_API_KEY)")  # fmt: skip
    add("--temperature", type=float, help="of sampling (default: the endpoint's)")
    add("--timeout", type=float, default=TIMEOUT, help=f"seconds for a request, retries too ({TIMEOUT:g})")
    add("--retries", type=int, default=4, help="further attempts after HTTP 429 or 5xx or no answer (4)")
    return result


def _endpoint(given: argparse.Namespace) -> Endpoint:
    url = urllib.parse.urlsplit(given.endpoint)
    if url.scheme not in ("http", "https") or not url.netloc:
        raise UsageError(f"--endpoint {given.endpoint}: not a URL as http://localhost:8000/v1")
    if given.timeout <= 0 or given.retries < 0:
        raise UsageError("--timeout is above 0, and --retries is at least 0")
    key = os.environ.get(given.api_key_env)
    return Endpoint(given.endpoint, given.model, key, given.temperature, given.retries)


def command(arguments: Sequence[str] | None = None) -> None:
    given = parser().parse_args(arguments)
    endpoint = _endpoint(given)
    with own_stdout() as answers:
        proposer = Proposer(endpoint, formula_check(), given.timeout)
        answers.write(greeting(f"{endpoint.model} (evictlab-propose {__version__})"))
        serve(sys.stdin.buffer, answers, proposer.propose)


def main() -> None:
    sys.exit(run_command(command))
