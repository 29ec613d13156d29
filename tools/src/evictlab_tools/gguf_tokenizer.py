"""The tokenizer that a GGUF file holds: SentencePiece's pieces with scores, or byte-level BPE with merges."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from evictlab_tools.tokens import Tokenizer

SENTENCEPIECE = "llama"  # what GGUF calls pieces with scores
SPACE = "\N{LOWER ONE EIGHTH BLOCK}"  # what SentencePiece writes for a space
# Types of pieces, the same numbers in GGUF and in SentencePiece's models.
UNKNOWN, CONTROL, USER_DEFINED, BYTE = 2, 3, 4, 6


class Vocabulary:
    """The fields of a GGUF file that begin with `tokenizer.ggml.`."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = fields

    def get(self, name: str, otherwise: Any = None) -> Any:
        field = self._fields.get(f"tokenizer.ggml.{name}")
        return otherwise if field is None else field.contents()


def read_gguf_tokenizer(path: Path, fields: Mapping[str, Any]) -> Tokenizer:
    """Of a GGUF file and its fields, as gguf.GGUFReader gives them."""
    vocabulary = Vocabulary(fields)
    has_scores = vocabulary.get("model") == SENTENCEPIECE
    encode, decode = _sentencepiece(vocabulary) if has_scores else _byte_level_bpe(path)
    ends = {name: vocabulary.get(f"{name}_token_id") for name in ("bos", "eos")}
    # Where the file does not say, SentencePiece models begin texts with BOS and BPE models do not.
    bos = [int(ends["bos"])] if vocabulary.get("add_bos_token", has_scores) else []
    special = {i for i, kind in enumerate(vocabulary.get("token_type", [])) if kind == CONTROL}
    special |= {int(i) for i in ends.values() if i is not None}
    # SentencePiece cannot write a chat's markers from a text.
    template = None if has_scores else fields.get("tokenizer.chat_template")
    chat = None if template is None else _chat(template.contents(), {f"{k}_token": i for k, i in ends.items()}, decode)
    return Tokenizer(lambda text: bos + encode(text), decode, frozenset(special), chat)


def _chat(template: str, ends: Mapping[str, int | None], decode: Callable[[int], str]) -> Callable[[str], str]:
    from transformers.utils.chat_template_utils import render_jinja_template  # noqa: PLC0415 - slow to import

    texts = {name: "" if i is None else decode(int(i)) for name, i in ends.items()}

    def chat(text: str) -> str:
        turns = [[{"role": "user", "content": text}]]
        rendered = render_jinja_template(turns, chat_template=template, add_generation_prompt=True, **texts)
        return str(rendered[0][0])

    return chat


Coder = tuple[Callable[[str], list[int]], Callable[[int], str]]  # encode, decode


def _byte_level_bpe(path: Path) -> Coder:
    """Not AutoTokenizer: from a GGUF of a Llama architecture it makes Code Llama's, which adds a token of its own."""
    from transformers.integrations.ggml import convert_gguf_tokenizer  # noqa: PLC0415 - slow to import
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint  # noqa: PLC0415

    parts = load_gguf_checkpoint(str(path))
    fast, _ = convert_gguf_tokenizer(parts["config"]["model_type"], parts["tokenizer"])
    return (
        lambda text: [int(i) for i in fast.encode(text, add_special_tokens=False).ids],
        lambda i: str(fast.decode([i], skip_special_tokens=False)),
    )


def _sentencepiece(vocabulary: Vocabulary) -> Coder:
    """SentencePiece's own program, which merges the adjacent pieces whose union has the highest score.

    Not transformers' conversion: of Gemma it makes a unigram model, in which such scores yield single characters.
    """
    from sentencepiece import SentencePieceProcessor  # noqa: PLC0415 - needed by such files alone
    from sentencepiece.sentencepiece_model_pb2 import ModelProto, TrainerSpec  # noqa: PLC0415

    kinds = [int(kind) for kind in vocabulary.get("token_type")]
    kinds[int(vocabulary.get("unknown_token_id", 0))] = UNKNOWN  # some files call it a control piece
    model = ModelProto()
    for piece, score, kind in zip(vocabulary.get("tokens"), vocabulary.get("scores"), kinds, strict=True):
        # Pieces that the user defined are stored with plain spaces.
        text = piece.replace(" ", SPACE) if kind == USER_DEFINED else piece
        model.pieces.add(piece=text, score=score, type=kind)
    model.trainer_spec.model_type = TrainerSpec.BPE
    model.trainer_spec.vocab_size = len(kinds)
    model.trainer_spec.byte_fallback = BYTE in kinds
    model.normalizer_spec.name = "identity"
    model.normalizer_spec.add_dummy_prefix = bool(vocabulary.get("add_space_prefix", True))
    model.normalizer_spec.remove_extra_whitespaces = False
    processor = SentencePieceProcessor(model_proto=model.SerializeToString())
    return lambda text: [int(i) for i in processor.encode(text)], lambda i: str(processor.decode([i]))
