"""Models by folder, hub name or GGUF file: the tokenizer, what the weights are, and the weights themselves."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers
from tqdm import tqdm
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, modeling_gguf_pytorch_utils

from evictlab_tools.attention import attention_name
from evictlab_tools.device import DTYPES, USUAL_DEVICE, DeviceConfig, device_from
from evictlab_tools.errors import ToolError
from evictlab_tools.estimate import ModelSizes, estimate_text
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
    device: DeviceConfig = USUAL_DEVICE  # where and how it runs once it is loaded, with nothing left to auto


def open_model(model: str, revision: str | None = None, device: DeviceConfig = USUAL_DEVICE) -> ModelSource:
    """Hashes the weights and reads the tokenizer; ToolError where transformers cannot. `device` is resolved."""
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    path = Path(model)
    if path.suffix == ".gguf":
        if not path.is_file():
            raise ToolError(f"{model}: there is no such GGUF file")
        return _open_gguf(path, device)
    if path.is_dir():
        return _open_folder(path, device)
    if path.exists() or model.startswith((".", "/")):
        raise ToolError(f"{model}: neither a GGUF file, nor a folder of a model, nor a name on the hub")
    return _open_hub(model, revision, device)


def sizes_of(model: str, revision: str | None, device: DeviceConfig) -> tuple[ModelSizes, DeviceConfig]:
    """Of a model whose weights need not be there, and the device with its type."""
    path, options = Path(model), {"revision": revision}
    where = {"gguf_file": path.name} if path.suffix == ".gguf" else {}
    named = str(path.parent) if where else model
    config = _explained(model, "configuration", lambda: AutoConfig.from_pretrained(named, **options, **where))

    def count() -> int:
        with torch.device("meta"):
            built = AutoModelForCausalLM.from_config(config)
        return sum(parameter.numel() for parameter in built.parameters())

    text = config.get_text_config()
    sizes = ModelSizes.of(text, _explained(model, "configuration", count))
    return sizes, _settled(device, None if where else text.dtype)


def estimate_of(given: argparse.Namespace, *, captures: bool = False) -> str:
    """What --dry-run says of a command's options."""
    sizes, device = sizes_of(given.model, given.revision, device_from(given))
    return estimate_text(given.model, sizes, device, given.prompt, given.continuation, captures=captures)


def _explained(model: str, what: str, action: Callable[[], Any]) -> Any:
    try:
        return action()
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ToolError(f"{model}: transformers {transformers.__version__} cannot load its {what}: {reason}") from error


def _settled(device: DeviceConfig, stored: Any = None) -> DeviceConfig:
    """With the type of the stored weights, if that is known, in place of auto."""
    named = str(stored or torch.float32).removeprefix("torch.")
    found = replace(device, dtype=named) if device.dtype == "auto" else device
    if found.dtype not in DTYPES:
        raise ToolError(f"the weights are stored as {found.dtype}; give --dtype float32, bfloat16 or float16")
    found.check_attention()
    return found


def _load_weights(model: str, attention: str, device: DeviceConfig, **options: Any) -> torch.nn.Module:
    # Of GGUF's tensors transformers draws a bar whatever its switch says; None hides it where there is no terminal.
    modeling_gguf_pytorch_utils.tqdm = partial(tqdm, disable=None)

    if device.device_map is not None:
        options["device_map"] = device.device_map
    name = attention_name(attention, device.attention)

    def load() -> torch.nn.Module:
        try:
            loaded: torch.nn.Module = AutoModelForCausalLM.from_pretrained(
                model, dtype=getattr(torch, device.dtype), attn_implementation=name, **options
            )
        except KeyError as error:
            if name not in error.args:
                raise
            raise ToolError(f"{model}: its attention does not go through transformers' registry of functions") from None
        return (loaded if device.device_map is not None or device.kind == "cpu" else loaded.to(device.device)).eval()

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


def _open_folder(path: Path, device: DeviceConfig) -> ModelSource:
    if not (path / "config.json").is_file():
        raise ToolError(f"{path}: no model's folder: it has no config.json")
    files = sorted(path.glob("*.safetensors")) or sorted(path.glob("*.bin"))
    if not files:
        raise ToolError(f"{path}: has neither *.safetensors nor *.bin, so no weights")
    config = _explained(str(path), "configuration", lambda: AutoConfig.from_pretrained(str(path)))
    parts = "".join(f"{sha256_of_file(file)}  {file.name}\n" for file in files)
    name, settled = path.resolve().name, _settled(device, config.get_text_config().dtype)
    return ModelSource(
        name=name,
        weights=f"{name}, {len(files)} file(s), sha256 of their sha256sum lines {sha256_of_bytes(parts.encode())}",
        num_layers=_num_layers(config),
        tokenizer=wrap_tokenizer(_explained(str(path), "tokenizer", lambda: AutoTokenizer.from_pretrained(str(path)))),
        load=lambda attention: _load_weights(str(path), attention, settled),
        device=settled,
    )


def _open_hub(model: str, revision: str | None, device: DeviceConfig) -> ModelSource:
    config = _explained(model, "configuration", lambda: AutoConfig.from_pretrained(model, revision=revision))
    commit = getattr(config, "_commit_hash", None) or revision
    if commit is None:
        raise ToolError(f"{model}: the hub says no commit for it; name one with --revision")
    tokenizer = _explained(model, "tokenizer", lambda: AutoTokenizer.from_pretrained(model, revision=commit))
    settled = _settled(device, config.get_text_config().dtype)
    return ModelSource(
        name=model.rsplit("/", 1)[-1],
        weights=f"{model} at commit {commit} of the hub",
        num_layers=_num_layers(config),
        tokenizer=wrap_tokenizer(tokenizer),
        load=lambda attention: _load_weights(model, attention, settled, revision=commit),
        device=settled,
    )


def _open_gguf(path: Path, device: DeviceConfig) -> ModelSource:
    settled = _settled(device)
    tokenizer, num_layers = _explained(str(path), "tokenizer and configuration", lambda: _read_gguf(path))
    return ModelSource(
        name=path.stem,
        weights=f"{path.name}, dequantised to F32, sha256 {sha256_of_file(path)}",
        num_layers=num_layers,
        tokenizer=tokenizer,
        load=lambda attention: _load_weights(str(path.parent), attention, settled, gguf_file=path.name),
        device=settled,
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
