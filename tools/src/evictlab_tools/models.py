"""Models by folder, hub name or GGUF file: the tokenizer, what the weights are, and the weights themselves."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers
from tqdm import tqdm
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, modeling_gguf_pytorch_utils

from evictlab_tools.errors import ToolError
from evictlab_tools.files import sha256_of_bytes, sha256_of_file
from evictlab_tools.gguf_tokenizer import read_gguf_tokenizer
from evictlab_tools.tokens import Tokenizer

GEMMA3_HEAD = 256


@dataclass(frozen=True)
class ModelSource:
    """A model that is known but not loaded. `load(attention)` takes the name of a registered attention function."""

    name: str
    weights: str  # what exactly, with hash
    num_layers: int
    tokenizer: Tokenizer
    load: Callable[[str], torch.nn.Module]


def open_model(model: str, revision: str | None = None) -> ModelSource:
    """Hashes the weights and reads the tokenizer; ToolError where transformers cannot."""
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    path = Path(model)
    if path.suffix == ".gguf":
        if not path.is_file():
            raise ToolError(f"{model}: there is no such GGUF file")
        return _open_gguf(path)
    if path.is_dir():
        return _open_folder(path)
    if path.exists() or model.startswith((".", "/")):
        raise ToolError(f"{model}: neither a GGUF file, nor a folder of a model, nor a name on the hub")
    return _open_hub(model, revision)


def _explained(model: str, what: str, action: Callable[[], Any]) -> Any:
    try:
        return action()
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ToolError(f"{model}: transformers {transformers.__version__} cannot load its {what}: {reason}") from error


def _load_weights(model: str, attention: str, **options: Any) -> torch.nn.Module:
    # Of GGUF's tensors transformers draws a bar whatever its switch says; None hides it where there is no terminal.
    modeling_gguf_pytorch_utils.tqdm = partial(tqdm, disable=None)

    def load() -> torch.nn.Module:
        try:
            loaded: torch.nn.Module = AutoModelForCausalLM.from_pretrained(
                model, dtype=torch.float32, attn_implementation=attention, **options
            )
        except KeyError as error:
            if attention not in error.args:
                raise
            raise ToolError(f"{model}: its attention does not go through transformers' registry of functions") from None
        return loaded.eval()

    loaded: torch.nn.Module = _explained(model, "weights", load)
    return loaded


def wrap_tokenizer(tokenizer: Any) -> Tokenizer:
    """A tokenizer of transformers as this package uses it."""
    added = getattr(tokenizer, "added_tokens_decoder", {})
    special = {i for i, token in added.items() if token.special} | set(tokenizer.all_special_ids)

    def encode(text: str) -> list[int]:
        ids: list[int] = tokenizer(text, verbose=False)["input_ids"]
        return ids

    def chat(text: str) -> str:
        turn = [{"role": "user", "content": text}]
        return str(tokenizer.apply_chat_template(turn, add_generation_prompt=True, tokenize=False))

    template = getattr(tokenizer, "chat_template", None)
    return Tokenizer(
        encode, lambda i: str(tokenizer.decode([i])), frozenset(special), None if template is None else chat
    )


def _num_layers(config: Any) -> int:
    return int(config.get_text_config().num_hidden_layers)


def _open_folder(path: Path) -> ModelSource:
    if not (path / "config.json").is_file():
        raise ToolError(f"{path}: no model's folder: it has no config.json")
    files = sorted(path.glob("*.safetensors")) or sorted(path.glob("*.bin"))
    if not files:
        raise ToolError(f"{path}: has neither *.safetensors nor *.bin, so no weights")
    config = _explained(str(path), "configuration", lambda: AutoConfig.from_pretrained(str(path)))
    parts = "".join(f"{sha256_of_file(file)}  {file.name}\n" for file in files)
    name = path.resolve().name
    return ModelSource(
        name=name,
        weights=f"{name}, {len(files)} file(s), sha256 of their sha256sum lines {sha256_of_bytes(parts.encode())}",
        num_layers=_num_layers(config),
        tokenizer=wrap_tokenizer(_explained(str(path), "tokenizer", lambda: AutoTokenizer.from_pretrained(str(path)))),
        load=lambda attention: _load_weights(str(path), attention),
    )


def _open_hub(model: str, revision: str | None) -> ModelSource:
    config = _explained(model, "configuration", lambda: AutoConfig.from_pretrained(model, revision=revision))
    commit = getattr(config, "_commit_hash", None) or revision
    if commit is None:
        raise ToolError(f"{model}: the hub says no commit for it; name one with --revision")
    tokenizer = _explained(model, "tokenizer", lambda: AutoTokenizer.from_pretrained(model, revision=commit))
    return ModelSource(
        name=model.rsplit("/", 1)[-1],
        weights=f"{model} at commit {commit} of the hub",
        num_layers=_num_layers(config),
        tokenizer=wrap_tokenizer(tokenizer),
        load=lambda attention: _load_weights(model, attention, revision=commit),
    )


def _open_gguf(path: Path) -> ModelSource:
    tokenizer, num_layers = _explained(str(path), "tokenizer and configuration", lambda: _read_gguf(path))
    return ModelSource(
        name=path.stem,
        weights=f"{path.name}, dequantised to F32, sha256 {sha256_of_file(path)}",
        num_layers=num_layers,
        tokenizer=tokenizer,
        load=lambda attention: _load_weights(str(path.parent), attention, gguf_file=path.name),
    )


def _read_gguf(path: Path) -> tuple[Tokenizer, int]:
    """The file's own tokenizer, and the number of layers."""
    from gguf import GGUFReader  # noqa: PLC0415 - slow to import

    fields = GGUFReader(str(path)).fields
    architecture = fields["general.architecture"].contents()

    def number(name: str) -> int:
        return int(fields[f"{architecture}.{name}"].contents())

    if architecture == "gemma3" and number("attention.key_length") != GEMMA3_HEAD:
        raise ToolError(
            f"{path}: transformers takes Gemma 3's softmax scale to be that of heads of {GEMMA3_HEAD}, which GGUF does "
            f"not say, but this one's have {number('attention.key_length')}: give a folder or a name on the hub"
        )
    return read_gguf_tokenizer(path, fields), number("block_count")
