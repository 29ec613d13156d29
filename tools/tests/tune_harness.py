"""What tests of evictlab-tune with other processes share: a suite of a tiny random model, and what is tuned."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import tune_worker
from conftest import make_source
from verdict_harness import KINDS, PROMPT, TEXTS

from evictlab_tools.capture import Settings, capture_suite
from evictlab_tools.documents import Document

START = "0.001*position"
TUNING = ["--formula", START, "--rounds", "2", "--grow", "3", "--retentions", "0.25,0.5"]


def make_suite(folder: Path) -> Path:
    splits = ["train", "train", "valid"]
    texts = [
        Document(f"text {i}", kind, split, text, "test", "MIT")
        for i, (text, kind, split) in enumerate(zip(TEXTS, KINDS, splits, strict=True))
    ]
    settings = Settings(PROMPT, 24, dtype="f32")
    capture_suite(make_source("llama"), texts, settings, folder, name="tiny", licence="MIT")
    return folder


def make_terms(file: Path) -> Path:
    file.write_text("observed_attn\ntoken_type\n")
    return file


def worker(suite: Path, *more: str) -> str:
    return "exec " + shlex.join([sys.executable, tune_worker.__file__, str(suite), "--serve", "--threads", "1", *more])
