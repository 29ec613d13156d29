"""GGUF files: a tiny Gemma 3 written here, with SentencePiece's pieces and scores; and (slow) the second model itself.

The slow test needs gemma-3-270m-q4_k_m.gguf, which scripts/capture-suite --second-model fetches to build/models.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from gguf import GGUFWriter
from transformers import Gemma3ForCausalLM, Gemma3TextConfig

from evictlab_tools.attention import ATTENTION, recording
from evictlab_tools.errors import ToolError
from evictlab_tools.models import ModelSource, open_model
from evictlab_tools.reading import read
from evictlab_tools.tokens import TokenType

GEMMA = Path(__file__).resolve().parents[2] / "build" / "models" / "gemma-3-270m-q4_k_m.gguf"
CONTROL, NORMAL, USER_DEFINED, BYTE = 3, 1, 4, 6
BOS, FIRST_BYTE = 2, 4
WINDOW = 5
MERGED = ["he", "th", "the", "en", "▁the", "▁t", "at"]  # best first
LETTERS = [*"aehnt5", "▁"]
TENSORS = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "post_attention_layernorm": "post_attention_norm",
    "pre_feedforward_layernorm": "ffn_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def vocabulary() -> list[tuple[str, float, int]]:
    pieces = [(piece, -1000.0, CONTROL) for piece in ("<pad>", "<eos>", "<bos>", "<unk>")]
    pieces += [(f"<0x{byte:02X}>", 0.0, BYTE) for byte in range(256)]
    pieces += [("\n\n", -1000.0, USER_DEFINED), ("  ", -1000.0, USER_DEFINED)]
    return pieces + [(piece, -float(i), NORMAL) for i, piece in enumerate([*MERGED, *LETTERS])]


def id_of(piece: str) -> int:
    return [known for known, _, _ in vocabulary()].index(piece)


def make_gemma(head: int = 256) -> Any:
    """Six layers, of which the last sees everything; heads of 256, as all but the largest Gemma 3 have."""
    config = Gemma3TextConfig(
        vocab_size=len(vocabulary()),
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=6,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=head,
        initializer_range=0.2,
        sliding_window=WINDOW,
    )
    torch.manual_seed(3)
    model = Gemma3ForCausalLM(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" in name:
                weight.normal_(0, 0.3)
    return model


def tensor_name(name: str) -> str:
    ends = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight"}
    if name in ends:
        return ends[name]
    _, _, layer, part = name.removesuffix(".weight").split(".", 3)
    return f"blk.{layer}.{TENSORS[part]}.weight"


def write_gemma(path: Path, model: Any, *, add_bos: bool = True) -> None:
    """As llama.cpp's converter writes it: among other things, norms that scale by their weight, not by 1 + weight."""
    config = model.config
    writer = GGUFWriter(path, "gemma3")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(1e6)
    writer.add_sliding_window(config.sliding_window)
    writer.add_tokenizer_model("llama")
    pieces, scores, kinds = zip(*vocabulary(), strict=True)
    writer.add_token_list(pieces)
    writer.add_token_scores(scores)
    writer.add_token_types(kinds)
    writer.add_bos_token_id(BOS)
    writer.add_eos_token_id(1)
    writer.add_unk_token_id(3)
    writer.add_add_bos_token(add_bos)
    writer.add_add_space_prefix(False)
    for name, weight in model.named_parameters():
        stored = weight.detach() + 1 if "norm" in name else weight.detach()
        writer.add_tensor(tensor_name(name), stored.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, ModelSource]:
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    model = make_gemma()
    write_gemma(path, model)
    return model, open_model(str(path))


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("then", ["the", "n"]),
        ("at the", ["at", "▁the"]),
        ("a  t\n\n\n\nt", ["a", "  ", "t", "\n\n", "\n\n", "t"]),
        ("té", ["t", "<0xC3>", "<0xA9>"]),
        ("a\n", ["a", "<0x0A>"]),
    ],
)
def test_pieces_merge_by_score_and_what_has_none_is_bytes(
    written: tuple[Any, ModelSource], text: str, pieces: list[str]
) -> None:
    tokenizer = written[1].tokenizer
    ids = tokenizer.encode(text)
    assert ids == [BOS, *map(id_of, pieces)]
    if text.isascii():
        assert "".join(tokenizer.decode(i) for i in ids[1:]) == text


def test_kinds_of_pieces_and_special_ones(written: tuple[Any, ModelSource], tmp_path: Path) -> None:
    tokenizer = written[1].tokenizer
    ids = tokenizer.encode("the 5  é")
    kinds = [TokenType.SPECIAL, TokenType.WORD, TokenType.PUNCTUATION, TokenType.NUMBER, TokenType.PUNCTUATION]
    assert tokenizer.token_types(ids).tolist() == [*kinds, TokenType.WORD, TokenType.WORD]
    assert BOS not in tokenizer.encode("<bos>")[1:]  # a text cannot write a special token
    write_gemma(tmp_path / "no-bos.gguf", written[0], add_bos=False)
    assert open_model(str(tmp_path / "no-bos.gguf")).tokenizer.encode("at") == [id_of("at")]


def test_weights_and_layers_are_the_ones_that_were_written(
    written: tuple[Any, ModelSource], capsys: pytest.CaptureFixture[str]
) -> None:
    model, source = written
    assert source.num_layers == 6
    loaded = source.load(ATTENTION)
    assert capsys.readouterr().err == ""  # no terminal, no bar
    ids = [BOS, *range(260, 276)]
    with torch.no_grad():
        expected, found = (m(input_ids=torch.tensor([ids])).logits for m in (model, loaded))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    layers = read(loaded, ids, None).layers
    assert [layers[layer].window for layer in range(6)] == [WINDOW] * 5 + [0]


def test_gemma_of_another_scale_is_refused(tmp_path: Path) -> None:
    write_gemma(tmp_path / "large.gguf", make_gemma(head=128))
    with pytest.raises(ToolError, match="heads of 256, which GGUF does not say, but this one's have 128"):
        open_model(str(tmp_path / "large.gguf"))


@pytest.mark.slow
def test_second_model_reads_english() -> None:
    source = open_model(str(GEMMA))
    tokenizer = source.tokenizer
    assert tokenizer.encode("Hello world") == [2, 9259, 1902]
    text = (
        "When he came to the corner, he stopped and looked up at the sky, which was grey and full of clouds. The old\n"
        "man did not know who had written the letter, nor why it had been sent to him; but he felt that it would\n"
        "change his life.\n\n  And so it did, in the year 1897."
    )
    ids = tokenizer.encode(text)
    assert "".join(tokenizer.decode(i) for i in ids[1:]) == text
    assert len(ids) < len(text) / 3
    model = source.load(ATTENTION)
    with torch.no_grad(), recording() as recorder:
        likelihood = model(input_ids=torch.tensor([ids])).logits[0, :-1].log_softmax(-1)
    assert [layer for layer in range(18) if recorder.layers[layer].window == 0] == [5, 11, 17]
    assert math.exp(-likelihood.gather(1, torch.tensor(ids[1:])[:, None]).mean()) < 30
