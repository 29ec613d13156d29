"""The proposers: a language model behind a local stub of an endpoint, and the example."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from evictlab_tools.errors import UsageError
from evictlab_tools.lines import LineWriter
from evictlab_tools.propose.command import Proposer, command, formula_check
from evictlab_tools.propose.endpoint import Endpoint
from evictlab_tools.propose.serve import serve

REQUEST = {
    "id": 12,
    "generation": 12,
    "wanted": 2,
    "suite": "smollm2",
    "measure": "output_error",
    "retentions": [0.1, 0.5],
    "max_nodes": 60,
    "columns": [{"name": "window_attn:64", "help": "mean of the attention over the last queries"}],
    "champions": [
        {"id": "g0-s0", "formula": "recent_attn", "hypothesis": "the start", "operator": "start", "train": 0.05,
         "valid": None, "documents": {}},
        {"id": "g3-s7", "formula": "window_attn:64", "hypothesis": "late queries know", "operator": "shrink",
         "train": 0.04, "valid": 0.041, "documents": {"smollm2/train/emma": [0.05, 0.02]}},
    ],
    "rejected": [{"id": "g11-s2", "formula": "key_norm", "hypothesis": "", "reason": "train 0.9 is not below 0.04"}],
}  # fmt: skip
GOOD = {"formula": "window_attn:64*value_norm", "hypothesis": "values matter"}
ANSWER = json.dumps({"proposals": [GOOD]})


def completion(text: str) -> bytes:
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode()


@dataclass
class Stub:
    """Answers with (status, headers, body), one after another, the last one again and again."""

    url: str = ""
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    delay: float = 0.0
    pauses: list[float] = field(default_factory=list)

    def proposer(self, timeout: float = 60, **options: Any) -> Proposer:
        return Proposer(Endpoint(self.url, "tiny", sleep=self.pauses.append, **options), formula_check(), timeout)

    def says(self, *texts: str) -> None:
        self.answers = [(200, {}, completion(text)) for text in texts]


@pytest.fixture
def stub() -> Iterator[Stub]:
    result = Stub()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            result.requests.append({"path": self.path, "key": self.headers["Authorization"], **body})
            time.sleep(result.delay)
            status, headers, data = result.answers.pop(0) if len(result.answers) > 1 else result.answers[0]
            try:
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(data))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)
            except OSError:
                pass  # the client's timeout

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    result.url = f"http://127.0.0.1:{server.server_port}/v1/"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield result
    server.shutdown()
    thread.join()
    server.server_close()


def answer_to(proposer: Proposer, file: Path, line: bytes = json.dumps(REQUEST).encode()) -> dict[str, Any]:
    with file.open("wb") as out:
        serve([line], LineWriter(out.fileno()), proposer.propose)
    answer: dict[str, Any] = json.loads(file.read_text())
    return answer


def test_the_model_is_told_everything_and_its_formulas_come_back(stub: Stub, tmp_path: Path) -> None:
    stub.says(ANSWER)
    answer = answer_to(stub.proposer(key="secret", temperature=0.7), tmp_path / "out")
    assert answer == {"id": 12, "proposals": [GOOD]}
    (sent,) = stub.requests
    assert (sent["path"], sent["key"], sent["model"]) == ("/v1/chat/completions", "Bearer secret", "tiny")
    assert sent["temperature"] == 0.7
    told = sent["messages"][1]["content"]
    for part in (
        "output_error",
        "0.1, 0.5",
        "- window_attn:64: mean of the attention",
        "idea: late queries know\n  error: train 0.04, valid 0.041\n  smollm2/train/emma: 0.05, 0.02",
        "- key_norm\n  rejected: train 0.9 is not below 0.04",
        "valid unknown",
        "2 formulas of at most 60 nodes",
    ):
        assert part in told
    assert told.index("- recent_attn") < told.index("- window_attn:64\n")


def test_without_a_key_or_a_temperature_none_is_sent(stub: Stub, tmp_path: Path) -> None:
    stub.says(ANSWER)
    assert "proposals" in answer_to(stub.proposer(), tmp_path / "out")
    assert stub.requests[0]["key"] is None and "temperature" not in stub.requests[0]


@pytest.mark.parametrize(
    "said",
    [
        f"Here they are:\n```json\n{ANSWER}\n```\nGood luck [really]!",
        f"I think of {{braces}} and [0.1, 0.2].\n{ANSWER}",
        f"```\n{json.dumps([GOOD])}\n```",
        json.dumps({"formulas": [{**GOOD, "formula": "= " + GOOD["formula"]}]}),
        f'<think>{{"formula": "key_norm"}} or not</think>{ANSWER}',
    ],
)
def test_formulas_are_found_in_what_models_write_around_them(stub: Stub, tmp_path: Path, said: str) -> None:
    stub.says(said)
    assert answer_to(stub.proposer(), tmp_path / "out") == {"id": 12, "proposals": [GOOD]}


def test_wrong_formulas_are_left_out(stub: Stub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stub.says(json.dumps({"proposals": [{"formula": "no_such_column + 1"}, GOOD, {"hypothesis": "no formula"}, 3]}))
    assert answer_to(stub.proposer(), tmp_path / "out") == {"id": 12, "proposals": [GOOD]}
    assert "left out: no_such_column + 1: " in capsys.readouterr().err


def test_the_model_is_told_why_once_where_all_are_wrong(stub: Stub, tmp_path: Path) -> None:
    wrong = json.dumps({"proposals": [{"formula": "no_such_column"}]})
    stub.says(wrong, ANSWER)
    assert answer_to(stub.proposer(), tmp_path / "out") == {"id": 12, "proposals": [GOOD]}
    *_, said, complaint = stub.requests[1]["messages"]
    assert said == {"role": "assistant", "content": wrong}
    assert "unknown column 'no_such_column'" in complaint["content"]
    stub.says(wrong)
    assert "no formula of the model's answer can be used" in answer_to(stub.proposer(), tmp_path / "out")["error"]
    assert len(stub.requests) == 4


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (completion("I would rather talk about the weather."), "no JSON with formulas; it begins: 'I would rather"),
        (completion('{"proposals": []}'), "no JSON with formulas"),
        (completion(" "), "said nothing"),
        (b"<html>hello</html>", "no chat completion; it begins: '<html>"),
        (b'{"choices": []}', "no chat completion"),
    ],
)
def test_garbage_is_an_error_answer(stub: Stub, tmp_path: Path, body: bytes, why: str) -> None:
    stub.answers = [(200, {}, body)]
    answer = answer_to(stub.proposer(), tmp_path / "out")
    assert answer["id"] == 12 and why in answer["error"]


def test_a_busy_server_is_asked_again_when_it_says(stub: Stub, tmp_path: Path) -> None:
    busy = (429, {"Retry-After": "7"}, b"slow down")
    stub.answers = [busy, (503, {}, b""), (500, {"Retry-After": "soon"}, b""), (200, {}, completion(ANSWER))]
    assert answer_to(stub.proposer(), tmp_path / "out") == {"id": 12, "proposals": [GOOD]}
    assert stub.pauses == [7, 2, 4]


def test_retries_end(stub: Stub, tmp_path: Path) -> None:
    stub.answers = [(500, {}, b"the GPU\nis on fire")]
    error = answer_to(stub.proposer(retries=2), tmp_path / "out")["error"]
    assert "HTTP 500" in error and "the GPU is on fire" in error and "(attempts: 3)" in error
    assert len(stub.requests) == 3


def test_a_refusal_is_not_tried_again(stub: Stub, tmp_path: Path) -> None:
    stub.answers = [(401, {}, b'{"error": "wrong key"}')]
    assert "wrong key" in answer_to(stub.proposer(), tmp_path / "out")["error"]
    assert len(stub.requests) == 1


def test_a_server_that_does_not_answer_is_left(stub: Stub, tmp_path: Path) -> None:
    stub.delay = 60.0
    stub.says(ANSWER)
    error = answer_to(stub.proposer(timeout=1), tmp_path / "out")["error"]
    assert re.search(r"no answer within [\d.]+ s \(attempts: 1\)", error)


def test_a_pause_that_is_longer_than_the_time_left_is_not_made(stub: Stub, tmp_path: Path) -> None:
    stub.answers = [(429, {"Retry-After": "3600"}, b"come back in an hour")]
    assert "come back in an hour (attempts: 1)" in answer_to(stub.proposer(), tmp_path / "out")["error"]
    assert stub.pauses == []


def test_no_server(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    proposer = Proposer(Endpoint(url, "tiny", retries=1, sleep=lambda _: None), formula_check())
    assert "cannot be reached" in answer_to(proposer, tmp_path / "out")["error"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"nonsense", "not a line of JSON"),
        (b"[]", "JSON object"),
        (b'{"id": 3, "champions": 5}', "not of this protocol"),
    ],
)
def test_wrong_requests_are_error_answers(stub: Stub, tmp_path: Path, line: bytes, why: str) -> None:
    assert why in answer_to(stub.proposer(), tmp_path / "out", line)["error"]
    assert not stub.requests


def test_the_command_speaks_the_protocol_until_its_input_ends(stub: Stub) -> None:
    stub.says(ANSWER)
    arguments = ["-c", "from evictlab_tools.propose.command import main; main()", "--endpoint", stub.url]
    done = subprocess.run(
        [sys.executable, *arguments, "--model", "tiny"],
        input=json.dumps(REQUEST) + "\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    greeting, answer = (json.loads(line) for line in done.stdout.splitlines())
    assert greeting["protocol"] == "evictlab-proposer/1" and greeting["proposer"].startswith("tiny (evictlab-propose")
    assert answer == {"id": 12, "proposals": [GOOD]}


def test_wrong_use_is_told() -> None:
    with pytest.raises(UsageError, match="not a URL"):
        command(["--endpoint", "localhost:8000", "--model", "tiny"])
    with pytest.raises(UsageError, match="--timeout is above 0"):
        command(["--endpoint", "http://localhost:8000/v1", "--model", "tiny", "--timeout", "0"])


def test_the_example_proposes_formulas_that_can_be_used() -> None:
    example = Path(__file__).parents[1] / "examples" / "proposer.py"
    lines = [json.dumps(REQUEST), json.dumps({"id": 13})]
    done = subprocess.run(
        [sys.executable, "-I", example], input="\n".join(lines), capture_output=True, text=True, check=True
    )
    greeting, answer, error = (json.loads(line) for line in done.stdout.splitlines())
    assert greeting["protocol"] == "evictlab-proposer/1"
    assert answer["id"] == 12 and len(answer["proposals"]) == 2
    check = formula_check()
    assert [check(proposal["formula"]) for proposal in answer["proposals"]] == [None, None]
    assert error == {"id": 13, "error": "the request lacks 'champions'"}
