"""`evictlab export`: the exported press and plugin keep what the formula keeps.

A press computes attention with PyTorch, the library with its own kernels: columns of attention agree to some 1e-6, and
where two scores are nearer than that, rounding decides which token stays.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import ast
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import STANDARD, VOCABULARY, make_model
from exported import export, press_of, scorer
from numpy.typing import NDArray

kvpress = pytest.importorskip("kvpress", reason="needs evictlab-tools[kvpress]")

from test_architectures import Call  # noqa: E402
from test_architectures import scores as scores_by_layer  # noqa: E402
from test_press import CLOSE, Full, kept, real_model, run_full, undecided  # noqa: E402
from transformers import DynamicCache  # noqa: E402

from evictlab_tools.calibration import Calibration, Heads, HeldLayer  # noqa: E402
from evictlab_tools.errors import ToolError  # noqa: E402
from evictlab_tools.library import Lab  # noqa: E402
from evictlab_tools.press import EvictlabPress  # noqa: E402
from evictlab_tools.shapes import Shape  # noqa: E402

CALIBRATED = {"query_axis", "tri_score", "calibrated"}  # have tests of their own
# Between them every column that a press can have, with every kind of parameter.
COLUMNS = [
    "position",
    "relative_pos",
    "relative_age",
    "sequence_len",
    "layer_idx",
    "layer_ratio",
    "num_layers",
    "is_sink",
    "key_norm",
    "value_norm",
    "key_cos",
    "wov_norm",
    "cumulative_attn",
    "observed_attn",
    "attn_entropy",
    "recent_attn",
    "last_attn",
    "last_attn:all",
    "layer_attn",
    "layer_attn:16:ahead=7",
    "layer_attn:0:ahead=2",
    "window_attn",
    "window_attn:016:pool=5:max",
    "window_attn:16:pool=7:avg",
    "window_attn:200:pool=3",
    "window_max:16",
    "window_std:16",
    "lag_key:16",
    "lag_value:20:sinks=2",
    "lag_key",
    "rank:key_norm",
    "rank:sequence_len",
    "expected_attn",
    "expected_attn:mean",
    "expected_attn:future=100:sinks=0",
    "expected_attn:by_dim",
    "replayed_attn:16:rms",
    "replayed_attn:all:count=20",
    "leave_one_out",
    "leave_one_out:7",
    "leave_one_out:wo",
    "leave_one_out:7:wo",
    "key_share",
    "key_share:0",
    "value_share:40",
    "key_leverage",
    "key_leverage:first=8:last=4",
    "zscore:key_leverage",
    "layer_mean:key_norm",
    "layer_share:observed_attn",
    "layer_share:sequence_len",
    "non_causal_attn",
    "non_causal_attn:40:first=8:last=4",
    "group_max_attn",
    "group_max_attn:32:pool=7",
    "key_redundancy",
    "key_redundancy:first",
    "defensive_attn",
    "defensive_attn:8:pool=7",
    "head_share:wov_norm",
    "head_mean:defensive_attn",
    "capacity",
    "capacity:tau=1:future=64:sinks=8",
    "window_var:16",
    "window_entropy:16",
]
OPERATORS = [
    "position/(position - 5) + 3/(position - 7)",
    "log(relative_pos - 20) + log(0*position)",
    "sqrt(position - 50)",
    "(position - 50)^0.5 + (position - 50)^3 + (position - 50)^-1 + (position - 3)^-2",
    "(position - 50)^(relative_pos/7) + (-1.5)^position + (position - 9)^(4 - position)",
    "abs(position - 50) + tanh(position/40) + exp(-relative_pos)",
    "min(position, 40, relative_pos) + max(3, relative_pos) - (position < 40) + (position >= 60)*(position == 61)",
    "if(position - 30, if(position <= 70, 2, position), keep)",
    "if(layer_ratio > 0.4, position, -position)",
    "if(0.1 < 1/3, -(-position), 7)",
    "keep*(position - 40)",
    "layer_ratio^2",
    "0.25",
]
RULES = [
    "evolved@real",
    "evolved@small",
    "if(is_sink, keep, window_attn:64*value_norm + 0.1*rank:cumulative_attn)",
    "if(position < 4, keep, if(relative_pos < 16, keep, observed_attn^0.7*wov_norm + 0.01*expected_attn*value_norm))",
    "window_max:32 + 0.3*window_std:32 - 0.01*key_cos + exp(-relative_pos/30)*last_attn",
    "if(position < 4, keep, observed_attn + 0.16*replayed_attn:64:rms + 0.006*min(rank:wov_norm, 0.35) "
    "+ 0.001*rank:lag_value - 0.002*rank:key_cos + 2*sqrt(expected_attn*replayed_attn:256:rms))",
]
TOKENS = 150


@pytest.fixture(scope="module")
def program() -> Path:
    return Lab().library.program


@pytest.fixture(scope="module")
def ids() -> list[int]:
    return torch.randperm(VOCABULARY, generator=torch.Generator().manual_seed(5)).tolist()[:TOKENS]


def scores(model: Any, ids: list[list[int]], press: Any) -> list[NDArray[np.float64]]:
    """[layer] of [B][H_kv][n], without eviction."""
    found: list[NDArray[np.float64]] = []

    def compress(*arguments: Any) -> Any:
        found.append(press.score(*arguments).double().numpy())
        return arguments[2], arguments[3]

    press.compress = compress
    with torch.no_grad(), press(model):
        model(input_ids=torch.tensor(ids), past_key_values=DynamicCache(), logits_to_keep=1)
    return found


def test_every_column_is_covered_or_refused(program: Path, tmp_path: Path) -> None:
    listed = subprocess.run([program, "plugins", "columns"], check=True, capture_output=True, text=True).stdout
    names = {line.split()[0] for line in listed.splitlines()} - {"base_score"}
    assert {column.split(":")[0] for column in COLUMNS} == names - {"token_type", "reconstruction_attn"} - CALIBRATED
    refused_ones = {"=token_type": "text of the tokens", "=rank:token_type + 1": "text of the tokens"}
    refused_ones |= {"=key_norm + reconstruction_attn:plus": "second pass"}
    refused_ones |= {f"=key_norm + {name}": "reads a calibration" for name in ("query_axis", "calibrated:mine")}
    for formula, why in refused_ones.items():
        command: list[str | Path] = [program, "export", formula, "--to", "kvpress", "--output", tmp_path / "refused.py"]
        refused = subprocess.run(command, check=False, capture_output=True, text=True)
        assert refused.returncode == 2
        assert why in refused.stderr


@pytest.mark.parametrize("family", STANDARD)
def test_columns_are_those_of_the_library(family: str, ids: list[int]) -> None:
    model = make_model(family, "sdpa")
    for column in COLUMNS:
        # The library turns queries in single precision, which their products feel; others have the model's own queries.
        # Without a softmax scale logits are large, and so are their exponentials' errors.
        relative = 3e-5 if column.startswith(("replayed_attn", "non_causal_attn")) else 1e-5
        ours = scores(model, [ids], EvictlabPress(0.5, f"={column}"))
        theirs = scores(model, [ids], press_of(export(column))(0.5))
        assert len(theirs) == len(model.model.layers)
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(b, a, rtol=relative, atol=1e-11 * float(np.abs(a).max()), err_msg=column)


def made_calibration(model: Any, file: Path) -> Path:
    """Of the model's shape, with numbers by chance."""
    config, random_numbers = model.config, np.random.default_rng(3)
    heads = Heads(config.num_attention_heads, config.num_key_value_heads, model.model.layers[0].self_attn.head_dim)
    layers = {
        layer: HeldLayer(
            random_numbers.standard_normal((heads.kv, heads.dim)),
            random_numbers.standard_normal((heads.query, heads.dim)),
            1 + random_numbers.random((heads.query, heads.dim // 2)),
        )
        for layer in range(config.num_hidden_layers)
    }
    shape = (config.num_hidden_layers, heads.kv)
    Calibration(
        model="made",
        weights="",
        num_layers=config.num_hidden_layers,
        heads=heads,
        layers=layers,
        suite="made",
        suite_hash="",
        documents=(("a", "0"),),
        made_by="a test",
        constants={"mine": random_numbers.random(shape)},
        tables={"shares": random_numbers.random((3, *shape))},
    ).write(file)
    return file


@pytest.mark.parametrize("family", ["llama", "gemma3"])
def test_calibrated_columns_are_those_of_the_library(family: str, ids: list[int], tmp_path: Path) -> None:
    model = make_model(family, "sdpa")
    file = made_calibration(model, tmp_path / "calibration.safetensors")
    for column in (
        "query_axis",
        "tri_score",
        "tri_score:future=64:peak:raw",
        "tri_score:mean",
        "calibrated:mine*position",
        "calibrated:shares:row=02*position",
        "rank:calibrated:mine + query_axis",
    ):
        ours = scores(model, [ids], EvictlabPress(0.5, f"={column}", calibration=file))
        theirs = scores(model, [ids], press_of(export(column, file))(0.5))
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-4, atol=2e-5 * float(np.abs(a).max()), err_msg=column)


@pytest.mark.parametrize("family", ["llama", "gemma3"])
def test_the_champion_without_queries_is_exported_with_a_calibration(
    family: str, ids: list[int], tmp_path: Path
) -> None:
    model = make_model(family, "sdpa")
    file = made_calibration(model, tmp_path / "calibration.safetensors")
    ours = scores(model, [ids], EvictlabPress(0.5, "evolved@keys", calibration=file))
    theirs = scores(model, [ids], press_of(export("evolved@keys", file))(0.5))
    place = 1 / ours[0][0].size  # by which a rank may differ where two values are equal but for rounding
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(b, a, atol=4 * place)
        half = a.shape[-1] // 2
        for mine, other in zip(a[0], b[0], strict=True):
            differ = {*np.argsort(-mine)[:half]} ^ {*np.argsort(-other)[:half]}
            assert all(abs(mine[token] - np.sort(mine)[half]) < 8 * place for token in differ)


def test_a_press_refuses_another_calibration_than_its_own(ids: list[int], tmp_path: Path) -> None:
    model = make_model("llama", "sdpa")
    file = made_calibration(model, tmp_path / "calibration.safetensors")
    press = press_of(export("query_axis + 1", file))(0.5)
    file.write_bytes(file.read_bytes()[:-4] + b"1234")
    with pytest.raises(Exception, match="not the calibration that this press was made with"):
        scores(model, [ids], press)
    with pytest.raises(ToolError, match="is of"):
        made = make_model("llama", "sdpa")
        made.config.num_hidden_layers += 1
        file = made_calibration(model, tmp_path / "other.safetensors")
        scores(made, [ids], EvictlabPress(0.5, "=query_axis", calibration=file))
    with pytest.raises(ToolError, match="evictlab-calibrate"):
        EvictlabPress(0.5, "triattention@paper")


def test_operators_are_protected_as_formulas_are(ids: list[int]) -> None:
    model = make_model("llama", "sdpa")
    for formula in OPERATORS:
        ours = scores(model, [ids], EvictlabPress(0.5, f"={formula}"))
        theirs = scores(model, [ids], press_of(export(formula))(0.5))
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-14, err_msg=formula)


CONSTANTS = ["0", "-0", "1", "-1", "2", "0.5", "3", "-2.5", "1e-320", "-4.9e-324", "1e308", "keep", "drop"]
CONSTANTS += [
    "(keep - keep)",
    "exp(1000)",
    "log(0)",
    "(1/0)",
    "(1e-320/1e10)",
    "sqrt(-1)",
    "min(keep, 0*keep)",
    "2^2000",
]
LEAVES = ["position", "relative_pos", "is_sink", "layer_ratio", "(position - 40)", "(relative_pos/8 - 3)", "key_norm"]


def random_formula(draw: random.Random, depth: int) -> str:
    """Every operator, of columns and of constants that are folded: zeros, infinities, NaN and denormals among them."""
    if depth == 0 or draw.random() < 0.1:
        return draw.choice(LEAVES if draw.random() < 0.5 else CONSTANTS)
    a, b, c = (random_formula(draw, depth - 1) for _ in range(3))
    one = [f"abs({a})", f"-({a})", f"tanh({a})", f"sqrt({a})", f"log({a})", f"exp({a})"]
    two = [f"({a}){sign}({b})" for sign in ("+", "-", "*", "/", "^")]
    more = [f"min({a}, {b})", f"max({a}, {b})", f"if({a}, {b}, {c})", *(f"(({a}){sign}({b}))" for sign in COMPARISONS)]
    return draw.choice(draw.choice([one, two, two, more]))


COMPARISONS = ("<", "<=", ">", ">=", "==")


def test_a_press_means_what_the_formula_means_for_every_constant(ids: list[int]) -> None:
    calls: dict[int, Call] = {}
    scores_by_layer(make_model("llama", "sdpa"), torch.tensor([ids[:60]]), EvictlabPress(0.5, "=position"), calls)
    draw = random.Random(11)
    formulas = [f"(position - 5){sign}{constant}" for constant in CONSTANTS for sign in "+*/^"]
    formulas += [f"{constant}{sign}(position - 5)" for constant in CONSTANTS for sign in "/^<"]
    formulas += [random_formula(draw, 3) for _ in range(80)]
    for formula in formulas:
        theirs, ours = press_of(export(formula))(0.5), EvictlabPress(0.5, f"={formula}")
        a, b = (each.score(*calls[1]).numpy() for each in (ours, theirs))
        np.testing.assert_allclose(b, a, rtol=1e-9, err_msg=formula)  # powers multiply what rounding leaves


def count_of_differing(model: Any, full: Full, ours: Any, theirs: Any, clear: bool = False) -> tuple[int, int]:
    """Tokens that only one of two presses keeps, and the tokens kept; with `clear` there may be none, else only such as
    rounding decides."""
    our_sets, scores = kept(model, full, ours)
    their_sets, _ = kept(model, full, theirs)
    differing = total = 0
    for our_layer, their_layer, of_layer in zip(our_sets, their_sets, scores, strict=True):
        for head, (our_set, their_set) in enumerate(zip(our_layer, their_layer, strict=True)):
            total += len(our_set)
            differing += len(our_set - their_set)
            if our_set != their_set:
                assert not clear
                assert of_layer is not None
                assert undecided(their_set, our_set, of_layer[head])
    return differing, total


@pytest.mark.parametrize("removed", [0.3, 0.9])
@pytest.mark.parametrize("family", STANDARD)
def test_small_models_keep_the_same(family: str, removed: float, ids: list[int]) -> None:
    model = make_model(family, "sdpa")
    full = run_full(model, ids)
    for rule in [*RULES, "0.5", "key_norm < 3", "if(relative_pos < 100, keep, drop)"]:
        press = press_of(export(rule))(removed)
        assert count_of_differing(model, full, press, EvictlabPress(removed, scorer(rule)))[0] <= 1


def test_sequences_of_a_batch_blocks_of_queries_and_eager_attention_change_nothing(ids: list[int]) -> None:
    model = make_model("llama", "sdpa")
    module = export(" + ".join(c for c in COLUMNS if not c.startswith("rank")) + " + rank:key_norm")
    batch = [ids, ids[::-1]]
    together = scores(model, batch, press_of(module)(0.5))
    module.BLOCK_VALUES = 6 * TOKENS * 7
    blocks = scores(model, batch, press_of(module)(0.5))
    alone = [scores(model, [sequence], press_of(module)(0.5)) for sequence in batch]
    eager = scores(make_model("llama", "eager"), batch, press_of(module)(0.5))
    for layer, expected in enumerate(together):
        np.testing.assert_allclose(blocks[layer], expected, rtol=1e-6)
        np.testing.assert_allclose(np.concatenate([a[layer] for a in alone]), expected, rtol=1e-4)
        np.testing.assert_allclose(eager[layer], expected, rtol=1e-4)


def test_presses_that_wrap_presses_can_use_it(ids: list[int]) -> None:
    model = make_model("llama", "sdpa")
    full = run_full(model, ids)
    wrapped, _ = kept(model, full, kvpress.AdaKVPress(press_of(export("value_norm - key_norm"))(0.5)))
    ours, _ = kept(model, full, EvictlabPress(0.5, "adakv@kvpress(=value_norm - key_norm)"))
    assert wrapped == ours


def test_the_file_needs_nothing_of_ours_and_holds_what_is_used_alone() -> None:
    made = [export(formula) for formula in ("-key_norm", *RULES, " + ".join(COLUMNS))]
    made += [export("-key_norm", shape=Shape("model", "share", 16, 4, 8), keep=64)]
    made += [export("-key_norm", shape=Shape("layer", "rank", 16, block_score="max")), export("-key_norm", keep=64)]
    for module in made:
        file = Path(module.__file__)
        tree = ast.parse(file.read_text(encoding="utf-8"))
        imported = {
            node.module.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) if node.module
        }
        standard = {"__future__", "collections", "contextvars", "dataclasses", "functools", "typing", "weakref"}
        assert imported <= standard | {"torch", "transformers", "kvpress"}
        defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        assert defined <= used
        for check in (["check", "--isolated", "--select", "F,I,B,UP"], ["format", "--isolated", "--check"]):
            subprocess.run([sys.executable, "-m", "ruff", *check, "--line-length", "120", file], check=True)
    assert not {name for name in vars(export("-key_norm")) if "attention" in name}


@pytest.fixture(scope="module")
def smollm2() -> tuple[Any, Full]:
    return real_model(400)


@pytest.fixture(scope="module")
def build_plugin(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A formula's exported plugin, built."""
    folder, made = tmp_path_factory.mktemp("plugins"), iter(range(1000))

    def built(formula: str) -> Path:
        name = f"built_{next(made)}"
        project = folder / name
        commands: list[list[str | Path]] = [
            [program, "export", scorer(formula), "--to", "cpp-plugin", "--name", name, "--output", project],
            ["cmake", "-S", project, "-B", project / "build"],
            ["cmake", "--build", project / "build"],
        ]
        for command in commands:
            subprocess.run(command, check=True, capture_output=True)
        return project / "build" / f"{name}.so"

    return built


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES)
def test_in_the_real_model_formula_press_and_plugin_keep_the_same(
    smollm2: tuple[Any, Full], rule: str, build_plugin: Callable[[str], Path]
) -> None:
    model, full = smollm2
    plugin = build_plugin(rule)
    for removed in (0.25, 0.5, 0.75, 0.9):
        formula = EvictlabPress(removed, scorer(rule))
        assert count_of_differing(model, full, formula, EvictlabPress(removed, str(plugin)), clear=True)[0] == 0
        differing, total = count_of_differing(model, full, formula, press_of(export(rule))(removed))
        print(f"removed {removed}: {differing} of {total} kept tokens differ (scores within {CLOSE} of the boundary)")
        assert differing <= total / 1000
