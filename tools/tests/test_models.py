"""Models from files: a folder as transformers saves it, through the whole command."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import make_model
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from evictlab_tools import capture as tool
from evictlab_tools.errors import ToolError, run_command
from evictlab_tools.models import open_model
from evictlab_tools.trace_file import TraceFile

TEXT = "the cat of 17 sat , the dog of 3 sat . " * 5


def save_model(folder: Path) -> None:
    """A tiny Llama with a tokenizer of whole words, which begins texts with a special token."""
    words = ["<s>", "<unk>", "the", "cat", "dog", "of", "sat", "17", "3", ",", "."]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", unk_token="<unk>").save_pretrained(folder)
    make_model("llama", "eager").save_pretrained(folder)


def test_command_captures_from_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_model(tmp_path / "model")
    (tmp_path / "cats.txt").write_text(TEXT)
    out = tmp_path / "suite"
    command = [str(tmp_path / "model"), str(tmp_path / "cats.txt"), "--out", str(out), "--prompt", "20"]
    options = [
        "--continuation",
        "5",
        "--layers",
        "0,2",
        "--dtype",
        "i8",
        "--wov-l1",
        "--kind",
        "prose",
        "--split",
        "valid",
    ]
    assert run_command(lambda: tool.command([*command, *options])) == 0
    assert "1 documents of model" in capsys.readouterr().out
    suite = json.loads((out / "suite.json").read_text())
    assert (suite["name"], suite["model"], suite["dtype"]) == ("suite", "model", "i8")
    trace = TraceFile(out / "cats.safetensors")
    assert trace.metadata["split"] == "valid"
    assert trace.stored("layers.0.q").dtype == np.int8
    assert trace.stored("layers.0.q.scale").shape == (6, 25)
    assert trace.stored("token_ids").tolist()[:8] == [0, 2, 3, 5, 7, 6, 9, 2]
    assert trace.stored("token_type").tolist()[:8] == [2, 0, 0, 0, 3, 0, 1, 0]
    with torch.no_grad():
        make_model("llama", "eager").save_pretrained(tmp_path / "model")  # the same weights
    assert open_model(str(tmp_path / "model")).weights == trace.metadata["weights"]


def test_mistakes_in_a_models_folder_are_named(tmp_path: Path) -> None:
    save_model(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(ToolError, match="cannot load its tokenizer"):
        open_model(str(tmp_path))
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ToolError, match="no weights"):
        open_model(str(tmp_path))
    with pytest.raises(ToolError, match="neither a GGUF file, nor a folder"):
        open_model(str(tmp_path / "nothing"))
