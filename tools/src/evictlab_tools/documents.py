"""The documents to capture: text files, listed in a manifest or given one by one.

A manifest is JSON: {"format": "evictlab-documents/1", "documents": [{"document", "kind", "split", "file", "source",
"licence", "layers"?, "answers"?, "task"?}, ...]}, `file` relative to the manifest, `layers` a list that overrides
--layers, `answers` where answers stand in the text that its beginning gives, as [first, past the last] of its
characters, and `task` what example.py describes.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evictlab_tools.errors import ToolError
from evictlab_tools.example import SAME_IN_ALL, Example, example_of_json
from evictlab_tools.files import read_bytes, read_json

MANIFEST_FORMAT = "evictlab-documents/1"
SPLITS = ("train", "valid", "test", "test_other_model")
HYGIENE_WINDOW = 64  # tokens; no run of so many may stand in two splits


@dataclass(frozen=True)
class Document:
    name: str
    kind: str  # prose, code, legal, manual, list_lookup, ...
    split: str
    text: str
    source: str
    licence: str
    layers: tuple[int, ...] | None = None  # where they differ from the command's
    origin: str = ""  # file, and place in it, for messages
    answers: tuple[tuple[int, int], ...] = ()  # characters [first, past) of answers that the text before gives
    example: Example | None = None  # of a task

    @property
    def file_name(self) -> str:
        return re.sub(r"[^A-Za-z0-9._-]+", "_", self.name) + ".safetensors"


def read_text(path: Path) -> str:
    if not path.exists():
        raise ToolError(f"{path}: there is no such text file")
    try:
        text = read_bytes(path).decode().replace("\r\n", "\n").replace("\r", "\n")  # as files of text are read
    except UnicodeDecodeError as error:
        raise ToolError(f"{path}: not UTF-8 ({error}); convert it, for example with iconv") from None
    if not text.strip():
        raise ToolError(f"{path}: the text is empty")
    return text


def _text_field(entry: dict[str, Any], field: str, where: str) -> str:
    value = entry.get(field)
    if not isinstance(value, str) or not value:
        raise ToolError(
            f'{where}: "{field}" is missing or no text; every document needs document, kind, split, file, '
            "source and licence"
        )
    return value


def _from_entry(entry: Any, where: str, folder: Path) -> Document:
    if not isinstance(entry, dict):
        raise ToolError(f"{where}: not an object")
    known = {"document", "kind", "split", "file", "source", "licence", "layers", "answers", "task"}
    if unknown := sorted(set(entry) - known):
        raise ToolError(f'{where}: unknown field "{unknown[0]}"; known are {", ".join(sorted(known))}')
    layers = entry.get("layers")
    if layers is not None and (
        not isinstance(layers, list) or not layers or not all(type(layer) is int and layer >= 0 for layer in layers)
    ):
        raise ToolError(f'{where}: "layers" is not a list of layer numbers such as [0, 14, 29]')
    text = read_text(folder / _text_field(entry, "file", where))
    return Document(
        name=_text_field(entry, "document", where),
        kind=_text_field(entry, "kind", where),
        split=_text_field(entry, "split", where),
        text=text,
        source=_text_field(entry, "source", where),
        licence=_text_field(entry, "licence", where),
        layers=None if layers is None else tuple(sorted(set(layers))),
        origin=where,
        answers=_answers(entry.get("answers", []), text, where),
        example=example_of_json(entry["task"], text, where) if "task" in entry else None,
    )


def _answers(value: Any, text: str, where: str) -> tuple[tuple[int, int], ...]:
    def is_place(place: Any) -> bool:
        whole = isinstance(place, list) and len(place) == 2 and all(type(at) is int for at in place)
        return whole and 0 <= place[0] < place[1] <= len(text)

    if not isinstance(value, list) or not all(is_place(place) for place in value):
        raise ToolError(
            f'{where}: "answers" is not a list of places [first, past the last] among the {len(text)} characters of '
            "the text, such as [[1204, 1208]]"
        )
    return tuple((place[0], place[1]) for place in value)


def read_manifest(path: Path) -> list[Document]:
    manifest = read_json(path)
    if not isinstance(manifest, dict) or manifest.get("format") != MANIFEST_FORMAT:
        raise ToolError(f'{path}: no manifest of documents: "format" is not "{MANIFEST_FORMAT}"')
    entries = manifest.get("documents")
    if not isinstance(entries, list) or not entries:
        raise ToolError(f'{path}: "documents" is missing or empty')
    return [_from_entry(entry, f"{path}: documents[{i}]", path.parent) for i, entry in enumerate(entries)]


def manifest_files(inputs: Iterable[Path]) -> list[Path]:
    """The text files that manifests among the inputs list; none of what is no manifest."""
    files: list[Path] = []
    for path in inputs:
        if path.suffix != ".json" or not path.is_file():
            continue
        manifest = read_json(path)
        entries = manifest.get("documents") if isinstance(manifest, dict) else None
        for entry in entries if isinstance(entries, list) else []:
            if isinstance(entry, dict) and isinstance(entry.get("file"), str):
                files.append(path.parent / entry["file"])
    return files


def read_inputs(inputs: Sequence[Path], *, kind: str, split: str, licence: str) -> list[Document]:
    """Manifests (.json) and plain text files; what a plain file does not say of itself is given by the caller."""
    documents: list[Document] = []
    for path in inputs:
        if path.suffix == ".json":
            documents += read_manifest(path)
        else:
            documents.append(Document(path.stem, kind, split, read_text(path), path.name, licence, origin=str(path)))
    check_names(documents)
    return documents


def check_names(documents: Sequence[Document]) -> None:
    """Splits are known, and no two documents have one name or one text."""
    if not documents:
        raise ToolError("no documents; give text files or a manifest")
    by_file: dict[str, Document] = {}
    by_text: dict[str, Document] = {}
    for document in documents:
        if document.split not in SPLITS:
            raise ToolError(f'{document.origin}: unknown split "{document.split}"; known are {", ".join(SPLITS)}')
        if other := by_file.get(document.file_name):
            raise ToolError(
                f'{document.origin}: the name "{document.name}" is that of {other.origin} already; every '
                "document needs a name of its own"
            )
        if other := by_text.get(document.text):
            raise ToolError(f"{document.origin}: the same text as {other.origin}; no text may be used twice")
        by_file[document.file_name] = by_text[document.text] = document


def same_in_all(document: Document, ends: Sequence[int]) -> list[bool]:
    """Of each token, by where they end: whether it stands in what all examples of a task have alike."""
    assert document.example is not None
    spans = document.example.spans
    begun = [(0, past) for _, past in spans.get("instruction", ())[:1]]  # with the chat's markers before it
    alike = bytearray(len(document.text) + 1)
    for first, past in begun + [place for role in SAME_IN_ALL for place in spans.get(role, ())]:
        alike[first:past] = b"\1" * (past - first)
    for first, past in spans.get("answer", ()):
        alike[first:past] = bytes(past - first)
    for at, character in enumerate(document.text):  # between lines of noise, and behind the prompt, whose facts count
        alike[at] |= at >= document.example.cut or (character.isspace() and at > 0 and alike[at - 1])
    return [end == 0 or bool(alike[end - 1]) for end in ends]


def check_hygiene(
    documents: Sequence[Document], tokens: Sequence[Sequence[int]], alike: Sequence[Sequence[bool] | None]
) -> None:
    """No run of 64 tokens stands in two splits, else what is tuned on one would be known to the other. Runs of what
    examples of a task have `alike` tell nothing."""
    seen: dict[tuple[int, ...], int] = {}
    for index, ids in enumerate(tokens):
        same = alike[index]
        for start in range(len(ids) - HYGIENE_WINDOW + 1):
            if same is not None and all(same[start : start + HYGIENE_WINDOW]):
                continue
            window = tuple(ids[start : start + HYGIENE_WINDOW])
            other = seen.setdefault(window, index)
            if documents[other].split != documents[index].split:
                raise ToolError(
                    f'documents "{documents[other].name}" ({documents[other].split}) and "{documents[index].name}" '
                    f"({documents[index].split}) share {HYGIENE_WINDOW} tokens in a row; put both in one split, or "
                    "leave one out"
                )
