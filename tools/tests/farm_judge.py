"""A judge without a model, for the farm's tests: its figures are hashes of scorer, document and retention.

    python -S farm_judge.py [OPTION=VALUE ...]

What a scorer is called says what it does to the judge. Of the standard library alone, so that it starts at once.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

DOCUMENTS = [(f"made/train/text {i}", "train") for i in range(7)] + [
    (f"made/valid/text {i}", "valid") for i in range(3)
]


def figure(scorer: str, document: str, retention: float) -> float:
    """Any double of its size, of which all digits count."""
    digest = hashlib.sha256(f"{scorer}\0{document}\0{retention}".encode("utf-8", "surrogatepass")).digest()
    return (int.from_bytes(digest[:7], "big") / 2**56 + 0.01) / retention


def rounded_otherwise(value: float) -> float:
    """As another processor might: the last digit differs."""
    return value * (1 + 2**-52)


class Judge:
    def __init__(self, options: dict[str, str]) -> None:
        self.options = options
        self.lock = threading.Lock()
        self.answered = 0

    def note(self, words: str) -> None:
        if "log" in self.options:
            with open(self.options["log"], "a") as log:  # noqa: PTH123
                log.write(words + "\n")

    def say(self, value: Any) -> None:
        with self.lock:
            try:
                sys.stdout.write((value if isinstance(value, str) else json.dumps(value)) + "\n")
                sys.stdout.flush()
            except (BrokenPipeError, ConnectionResetError):
                os._exit(1)  # nobody reads any more

    def introduce(self) -> None:
        manner = self.options.get("greets")
        if manner == "never":
            time.sleep(600)
        if manner == "with garbage":
            self.say("Loading the weights ...\a")
        documents = [{"name": name, "kind": "prose", "split": split} for name, split in DOCUMENTS]
        if manner == "with fewer documents":
            documents.pop()
        words: dict[str, Any] = {"protocol": "evictlab-judge/1", "judge": self.options.get("judge", "a fake judge")}
        words["documents"] = documents
        if "parallel" in self.options:
            words["parallel"] = int(self.options["parallel"])
        self.say(words)

    def act(self, scorer: str, starts: int) -> None:
        if "once" in scorer and starts > 1:
            return
        if "poison" in scorer:
            os._exit(3)
        if "kill" in scorer:
            os.kill(os.getpid(), signal.SIGKILL)
        if "hang" in scorer:
            time.sleep(600)
        if "garbage" in scorer:
            self.say("Traceback (most recent call last):")
        if "endless" in scorer:
            sys.stdout.write("x" * (17 << 20))
            sys.stdout.flush()
            time.sleep(600)
        if "unasked" in scorer:
            self.say({"id": 4711, "kl": [[1.0]]})

    def answer(self, request: dict[str, Any]) -> None:
        scorer, (document,) = request["scorer"], request["documents"]
        if "most" in self.options:  # milliseconds: answers come in any order
            time.sleep(random.random() * float(self.options["most"]) / 1000)
        if "error" in scorer and document.endswith(("2", "4")):
            self.say({"id": request["id"], "error": f"no figures on {document}"})
            return
        figures = [figure(scorer, document, retention) for retention in request["retentions"]]
        if self.options.get("rounds") == "otherwise":
            figures = [rounded_otherwise(value) for value in figures]
        if "short" in scorer:
            figures.pop()
        if "negative" in scorer:
            figures[0] = -0.5
        self.say({"id": request["id"], "kl": [figures]})

    def requests(self) -> Iterator[str]:
        with contextlib.suppress(ConnectionResetError):  # its standard input may be a line to another host
            yield from sys.stdin

    def serve(self) -> None:
        self.note(f"start {os.getpid()}")
        starts = 1
        if "log" in self.options:
            with open(self.options["log"]) as log:  # noqa: PTH123
                starts = sum(line.startswith("start ") for line in log)
        if "child" in self.options:
            child = subprocess.Popen(["sleep", "600"], stdin=subprocess.DEVNULL)
            self.note(f"child {child.pid}")
        if "stubborn" in self.options:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
        self.introduce()
        for line in self.requests():
            request = json.loads(line)
            self.note(f"asked {request['documents'][0]}")
            self.act(request["scorer"], starts)
            if "flood" in self.options:
                sys.stderr.write(("a warning that nobody reads\n" * 4000) + "no end" * 20000)
            if "lives" in self.options and self.answered == int(self.options["lives"]):
                sys.exit(3)
            self.answered += 1
            if "most" in self.options:
                threading.Thread(target=self.answer, args=(request,)).start()
            else:
                self.answer(request)
        if "stubborn" in self.options:
            time.sleep(600)


if __name__ == "__main__":
    Judge(dict(argument.split("=", 1) for argument in sys.argv[1:])).serve()
