"""What --dry-run says of memory: by hand for a model of 8 billion, and against what a small one really holds."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_prefill import DIM, HEADS, KV_HEADS, LAYERS, most_bytes, sizes_of_test

from evictlab_tools import capture as capture_tool
from evictlab_tools.device import DeviceConfig
from evictlab_tools.errors import ToolError
from evictlab_tools.estimate import estimate
from evictlab_tools.models import sizes_of
from evictlab_tools.verdict.command import command as verdict

LLAMA_8B = {  # as Llama-3.1-8B has it
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "tie_word_embeddings": False,
    "dtype": "bfloat16",
}


@pytest.fixture
def model(tmp_path: Path) -> str:
    """A folder without weights."""
    (tmp_path / "config.json").write_text(json.dumps(LLAMA_8B))
    return str(tmp_path)


def test_memory_of_a_model_of_8_billion_is_known_without_its_weights(model: str) -> None:
    sizes, device = sizes_of(model, None, DeviceConfig(dtype="auto"))
    assert sizes.parameters == 8_030_261_248 and device.dtype == "bfloat16"
    found = estimate(sizes, device, 131072 - 128, 128)
    assert found.weights == 2 * 8_030_261_248
    assert found.cache == 2 * 32 * 8 * 128 * 131072 * 2  # 16 GiB
    assert found.queries == 32 * 128 * 131072 * 4  # of one layer, as scorers read them
    assert found.disk == 32 * 32 * 128 * 131072 * 2
    whole = estimate(sizes, DeviceConfig(dtype="bfloat16", chunk=0), 131072 - 128, 128)
    assert whole.queries == 32 * found.queries and whole.disk == 0


def test_dry_runs_need_nothing_but_the_configuration(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    verdict([model, "no-such-text", "--prompt", "8000", "--dtype", "auto", "--dry-run"])
    told = capsys.readouterr().out
    assert "8.03 billion in bfloat16" in told and "whole" in told and "on disk" not in told
    capture_tool.command([model, "--out", "nowhere", "--prompt", "32768", "--dry-run"])
    told = capsys.readouterr().out
    assert "in chunks of 1024" in told and "queries of one layer" in told and "on disk" in told
    with pytest.raises(ToolError, match="cannot load its configuration"):
        verdict([f"{model}/nothing", "no-such-text", "--dry-run"])


@pytest.mark.parametrize("chunk", [0, 128])
def test_an_estimate_is_near_what_a_run_holds(chunk: int) -> None:
    sizes = sizes_of_test()
    assert (sizes.layers, sizes.heads, sizes.kv_heads, sizes.head_dim) == (LAYERS, HEADS, KV_HEADS, DIM)
    for captures in (False, True):
        found = estimate(sizes, DeviceConfig(chunk=chunk), 2039, 9, captures=captures)
        without = found.memory - found.weights
        held = most_bytes(2048, chunk or None, (lambda layer, attention: None) if captures else None)
        assert 0.8 * without < held < 1.1 * without
