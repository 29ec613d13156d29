"""One call of an OpenAI-compatible chat-completions endpoint, tried again where that may help.

urllib, not a client library: the call is one POST of JSON without streaming, and what a pinned client would add (pools,
HTTP/2, types of a whole API) is not used. Proxies and certificates are those of the environment, as everywhere.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import http.client
import itertools
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from evictlab_tools.errors import ToolError
from evictlab_tools.shown import complain

SHOWN = 300  # characters of an error's text


class _TryAgain(ToolError):
    """What may go away by itself; `after` seconds where the server says so."""

    def __init__(self, text: str, after: float | None = None) -> None:
        super().__init__(text)
        self.after = after


@dataclass(frozen=True)
class Endpoint:
    base: str  # such as http://localhost:8000/v1
    model: str
    key: str | None = field(default=None, repr=False)
    temperature: float | None = None
    retries: int = 4
    sleep: Callable[[float], None] = time.sleep

    def complete(self, messages: Sequence[dict[str, str]], seconds: float) -> str:
        """What the model says; ToolError with the last reason once retries or seconds (with pauses) are spent."""
        deadline = time.monotonic() + seconds
        for attempt in itertools.count():
            left = max(deadline - time.monotonic(), 0.001)
            try:
                return self._post(messages, left)
            except _TryAgain as error:
                pause = 2.0**attempt if error.after is None else error.after
                if attempt == self.retries or time.monotonic() + pause >= deadline:
                    raise ToolError(f"{error} (attempts: {attempt + 1})") from None
                complain(f"{error}; trying again in {pause:g} s")
                self.sleep(pause)
        raise AssertionError("unreachable")

    def _post(self, messages: Sequence[dict[str, str]], timeout: float) -> str:
        url = self.base.rstrip("/") + "/chat/completions"
        body: dict[str, Any] = {"model": self.model, "messages": list(messages)}
        if self.temperature is not None:
            body["temperature"] = self.temperature
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        request = urllib.request.Request(url, json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:
                data = response.read()
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(url, error) from None
        except TimeoutError:
            raise _TryAgain(f"{url}: no answer within {timeout:.3g} s") from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise _TryAgain(f"{url}: cannot be reached: {reason}") from None
        return _content(url, data)


def _refusal(url: str, error: urllib.error.HTTPError) -> ToolError:
    try:
        text = error.read(4 * SHOWN).decode("utf-8", "replace").strip().replace("\n", " ")[:SHOWN]
    except (OSError, http.client.HTTPException):
        text = ""
    message = f"{url}: HTTP {error.code} {error.reason}: {text}"
    if error.code != 429 and error.code < 500:
        return ToolError(message)
    after = error.headers.get("Retry-After", "")
    return _TryAgain(message, float(after) if after.isascii() and after.isdigit() else None)


def _content(url: str, data: bytes) -> str:
    try:
        content = json.loads(data)["choices"][0]["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        shown = data[:SHOWN].decode("utf-8", "replace")
        raise ToolError(f"{url}: the answer is no chat completion; it begins: {shown!r}") from None
    if not isinstance(content, str) or not content.strip():
        raise ToolError(f"{url}: the model said nothing")
    return content
