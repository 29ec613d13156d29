"""The second pass: what it says follows from the model's own eager attention, and suites get and keep its files."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import STANDARD, make_model, make_source
from numpy.typing import NDArray
from safetensors.numpy import load_file
from test_capture import documents, run_capture
from transformers import DynamicCache

from evictlab_tools import reconstruct
from evictlab_tools.companions import Companions
from evictlab_tools.errors import ToolError
from evictlab_tools.masked import ATTENTION
from evictlab_tools.reading import read
from evictlab_tools.reconstruct import KINDS, Chunk, Replay, Weights, chunks, instructions, last_layer, strongest
from evictlab_tools.suite import companion_name

FIXTURES = Path(__file__).parents[2] / "tests/data"
LENGTH = 40


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconstruct, "CHUNK", 25)
    monkeypatch.setattr(reconstruct, "GRADIENT_CHUNK", 16)
    monkeypatch.setattr(reconstruct, "ROWS", 7)


def ids_of(seed: int, count: int) -> list[int]:
    return [0, *map(int, np.random.default_rng(seed).integers(1, 256, count - 1))]


def test_later_chunks_are_told_where_they_start() -> None:
    source = make_source("llama")
    told = instructions(source.tokenizer.encode_alone, skipped=2)
    first, later = (
        source.tokenizer.encode(reconstruct.FIRST_INSTRUCTION),
        source.tokenizer.encode(reconstruct.LATER_INSTRUCTION),
    )
    newline = 1 + ord("\n")
    prompt = ids_of(1, 23)
    assert [(c.first, c.past) for c in chunks(prompt, told, 10)] == [(2, 12), (12, 22), (22, 23)]
    assert chunks(prompt, told, 100) == [Chunk(2, 23, (*first[1:], newline, *prompt[2:]))]
    assert chunks(prompt, told, 10)[2].fed == (*later[1:], *prompt[14:22], newline, prompt[22])
    assert chunks(prompt, told, 3)[1].fed == (*later[1:], *prompt[2:5], newline, *prompt[5:8])


def eager(name: str, prompt: Sequence[int], chunk: Chunk) -> list[dict[str, NDArray[np.float64]]]:
    """By layer, of one chunk in double precision: attention of what is fed, and norms, by the model's own means."""
    model = make_model(name, "eager").double()
    seen: list[dict[str, Any]] = [{} for _ in model.model.layers]
    cache = DynamicCache()
    with torch.no_grad():
        model(torch.tensor([prompt]), past_key_values=cache)
    values = [layer.values[0] for layer in cache.layers]

    def hook(number: int) -> Any:
        def note(module: Any, args: Any, kwargs: Any, output: Any) -> None:
            output[0].retain_grad()
            seen[number] |= {"x": kwargs["hidden_states"][0].norm(dim=-1), "y": output[0], "weights": output[1][0]}

        return note

    last: list[torch.Tensor] = []
    model.model.layers[-1].register_forward_hook(lambda _module, _args, output: last.append(output))
    for number, layer in enumerate(model.model.layers):
        layer.self_attn.register_forward_hook(hook(number), with_kwargs=True)
    model(torch.tensor([[*prompt, *chunk.fed]]))  # causal: the prompt's keys and values are those of the prompt alone
    n = len(prompt)
    output = last[-1][0, n:]
    torch.autograd.backward(output.square().sum())
    found = []
    for number, of_layer in enumerate(seen):
        projection = model.model.layers[number].self_attn.o_proj.weight
        heads, dim = of_layer["weights"].shape[0], values[number].shape[-1]
        per_head = projection.view(projection.shape[0], heads, dim)
        part = values[number][:, chunk.first : chunk.past] if values[number].shape[1] == n else None
        norms = None
        if part is not None:
            norms = torch.einsum("chd,hjd->hjc", per_head, part.repeat_interleave(heads // len(part), 0)).norm(dim=-1)
        found.append(
            {
                "attention": of_layer["weights"][:, n:].detach().numpy(),
                "x": of_layer["x"][n:].detach().numpy(),
                "norms": None if norms is None else norms.detach().numpy(),
                "gradient": of_layer["y"].grad[0, n:].norm(dim=-1).numpy(),
            }
        )
    return found


@pytest.mark.parametrize("name", STANDARD)
def test_scores_follow_from_the_models_own_attention(name: str, small_chunks: None) -> None:
    source = make_source(name)
    model = source.load(ATTENTION)
    prompt = ids_of(3, LENGTH)
    told = instructions(source.tokenizer.encode_alone, skipped=3)
    layers = read(model, prompt, range(source.num_layers)).layers
    found = Replay(model, prompt, layers, range(source.num_layers), told).run()
    for size, kinds in ((25, (0, 1)), (16, (2,))):
        for chunk in chunks(prompt, told, size):
            for number, of_layer in enumerate(eager(name, prompt, chunk)):
                attention = of_layer["attention"]
                seen = np.r_[: min(4, chunk.first), chunk.first : chunk.past, LENGTH : attention.shape[2]]
                share = attention[..., chunk.first : chunk.past] / attention[..., seen].sum(-1, keepdims=True)
                for kind in kinds:
                    weighted = share
                    if kind > 0 and of_layer["norms"] is None:
                        continue  # the cache of a layer with a window does not hold all values
                    if kind == 1:
                        weighted = share * of_layer["norms"][:, None] / of_layer["x"][:, None]
                    elif kind == 2:
                        weighted = share * of_layer["norms"][:, None] * of_layer["gradient"][:, None]
                    expected = weighted.reshape(2, -1, *weighted.shape[1:]).max((1, 2))
                    got = found[number][kind, :, chunk.first : chunk.past]
                    np.testing.assert_allclose(got, expected, rtol=2e-3, atol=1e-5 * expected.max())
    assert all(float(scores[:, :, :3].abs().max()) == 0 for scores in found.values())


def test_asking_for_less_gives_the_same(small_chunks: None) -> None:
    source = make_source("llama")
    model = source.load(ATTENTION)
    prompt = ids_of(4, LENGTH)
    told = instructions(source.tokenizer.encode_alone)
    layers = read(model, prompt, range(source.num_layers)).layers
    whole = Replay(model, prompt, layers, range(source.num_layers), told).run()
    for kinds in (("plain",), ("plain", "plus"), ("grad",)):
        some = Replay(model, prompt, layers, [1, 3], told, kinds).run()
        assert sorted(some) == [1, 3]
        for number, scores in some.items():
            expected = whole[number][[KINDS.index(kind) for kind in kinds]]
            torch.testing.assert_close(scores, expected, rtol=1e-4, atol=1e-7)


def test_scores_from_queries_and_keys_are_the_original_programs() -> None:
    of_prompt = load_file(FIXTURES / "methods/layer14.safetensors")
    fed = load_file(FIXTURES / "methods-2/replay.layer14.safetensors")
    scores = load_file(FIXTURES / "methods-2/second_pass.safetensors")
    cached, norms = torch.from_numpy(of_prompt["k"]), torch.from_numpy(fed["wov_l2"])

    def of_chunk(name: str, part: tuple[int, int], weights: list[Weights]) -> torch.Tensor:
        q, k = torch.from_numpy(fed[f"{name}.q"]), torch.from_numpy(fed[f"{name}.k"])
        return strongest(q, k, cached, part, 64**-0.5, 0, weights)

    def gradient(name: str) -> torch.Tensor:
        return torch.from_numpy(fed[f"{name}.grad_norm"])

    plus, grad = Weights(1 / torch.from_numpy(fed["replay.h_norm"]), norms), Weights(gradient("replay"), norms)
    for name, found in zip(
        ("kvzip", "kvzip_plus", "kvgrad"), of_chunk("replay", (0, 297), [Weights(), plus, grad]), strict=True
    ):
        np.testing.assert_allclose(found, scores[f"score.{name}"][14], rtol=1e-4)
    part = slice(128, 256)  # a later chunk, whose softmax sees the first tokens, too
    of_part = [Weights(), Weights(gradient("replay128"), norms[:, part])]
    for name, found in zip(("kvzip_c128", "kvgrad_c128"), of_chunk("replay128", (128, 256), of_part), strict=True):
        np.testing.assert_allclose(found, scores[f"score.{name}"][14][:, part], rtol=1e-4)


def test_a_model_whose_layers_are_no_list_is_refused_by_name() -> None:
    model = make_model("llama", "eager")
    modules = {number: layer.self_attn for number, layer in enumerate(model.model.layers)}
    assert last_layer(model, modules) is model.model.layers[-1]
    del modules[3]
    with pytest.raises(ToolError, match=r"LlamaForCausalLM: its layers are not one list.*KVzip and KVzip"):
        last_layer(model, modules)


def test_a_finished_suite_gets_second_passes_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = run_capture(tmp_path, documents())
    made: list[str] = []
    make = Companions._made

    def stops_at_the_third(self: Companions, trace: Any, *rest: Any) -> bytes:
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(trace.metadata["document"])
        return make(self, trace, *rest)

    monkeypatch.setattr(Companions, "_made", stops_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        Companions(make_source("llama"), tmp_path).add()
    made.pop(0)
    assert Companions(make_source("llama"), tmp_path).add() == 3
    assert made == ["doc 1", "doc 2"]
    suite: dict[str, Any] = json.loads((tmp_path / "suite.json").read_text())
    for entry, was in zip(suite["files"], before["files"], strict=True):
        listed = entry.pop("reconstruction")
        assert entry == was  # so the suite's hash is the same
        path = tmp_path / listed["file"]
        assert listed["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        held = load_file(path)
        assert sorted(held) == [f"layers.{layer}.reconstruction" for layer in entry["layers"]]
        assert all(tensor.shape == (3, 2, 30) and tensor.dtype == np.float32 for tensor in held.values())
        assert all(tensor.max() > 0 and np.isfinite(tensor).all() for tensor in held.values())
    again = run_capture(tmp_path, documents())  # without asking for them
    assert all("reconstruction" in entry for entry in again["files"])
    damaged = tmp_path / again["files"][1]["reconstruction"]["file"]
    damaged.write_bytes(b"")
    made.clear()
    assert Companions(make_source("llama"), tmp_path).add() == 3
    assert made == ["doc 1"]
    assert damaged.stat().st_size > 0
    (tmp_path / again["files"][0]["file"]).write_bytes(b"")
    changed = run_capture(tmp_path, documents()[:2])
    assert ["reconstruction" in entry for entry in changed["files"]] == [False, True]
    assert [path.name for path in sorted(tmp_path.glob("*.reconstruction.safetensors"))] == [
        "doc_1.reconstruction.safetensors"
    ]


def test_second_passes_are_of_the_suites_own_model(tmp_path: Path) -> None:
    run_capture(tmp_path, documents())
    with pytest.raises(ToolError, match="no trace of it was captured"):
        Companions(make_source("qwen3"), tmp_path).add()
    with pytest.raises(ToolError, match=r"suite\.json"):
        Companions(make_source("llama"), tmp_path / "none").add()


def test_the_file_says_what_was_fed(tmp_path: Path) -> None:
    suite = run_capture(tmp_path, documents())
    Companions(make_source("llama"), tmp_path).add()
    path = tmp_path / companion_name(suite["files"][0]["file"])
    size = int.from_bytes(path.read_bytes()[:8], "little")
    facts = json.loads(path.read_bytes()[8 : 8 + size])["__metadata__"]
    expected = {"format": "evictlab-reconstruction/1", "trace": suite["files"][0]["sha256"], "prompt_len": "30",
                "layers": "0,1", "chunk": "2048", "gradient_chunk": "512", "first_position": "0",
                "separator_ids": str(1 + ord("\n")), "kinds": "plain,plus,grad"}  # fmt: skip
    assert expected.items() <= facts.items()
