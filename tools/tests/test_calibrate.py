"""What evictlab-calibrate learns, against what the authors' programs and kvpress learned from the same queries."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from evictlab_tools.calibrate.command import _check_installable, calibrate
from evictlab_tools.calibrate.shares import falling, gains, removed_shares
from evictlab_tools.calibration import CALIBRATION_FILE, CALIBRATION_FORMAT, install
from evictlab_tools.errors import ToolError, UsageError
from evictlab_tools.files import read_json, sha256_of_file, write_json
from evictlab_tools.library import Lab
from evictlab_tools.trace_file import TRACE_FORMAT, serialise

DATA = Path(__file__).resolve().parents[2] / "tests" / "data"
LAYERS = (0, 14, 29)
PROMPT, TOKENS = 200, 297
BASE = Lab().open("keydiff@kvpress")


def write_trace(path: Path, layers: tuple[int, ...] = LAYERS) -> None:
    tensors: dict[str, Any] = {"token_ids": np.arange(TOKENS, dtype=np.int32)}
    for layer in layers:
        found = load_file(DATA / "methods" / f"layer{layer:02d}.safetensors")
        tensors |= {f"layers.{layer}.{name}": found[name] for name in "qkv"}
        tensors[f"layers.{layer}.rope_inv_freq"] = (1e5 ** (-np.arange(0, 64, 2) / 64)).astype(np.float32)
    metadata = {
        "format": TRACE_FORMAT,
        "layers": ",".join(map(str, layers)),
        "sliding_window": ",".join("0" for _ in layers),
        "prompt_len": str(PROMPT),
        "softmax_scale": "0.125",
    }
    path.write_bytes(serialise(tensors, metadata))


def write_suite(folder: Path, splits: dict[str, str]) -> Path:
    folder.mkdir()
    files = []
    for name, split in splits.items():
        write_trace(folder / f"{name}.safetensors")
        sha256 = sha256_of_file(folder / f"{name}.safetensors")
        files.append({"file": f"{name}.safetensors", "sha256": sha256, "split": split, "document": name})
    suite = {"format": "evictlab-suite/1", "name": "s", "model": "M", "weights": "W", "num_layers": 30, "files": files}
    write_json(folder / "suite.json", suite)
    return folder


def test_directions_means_and_scores_are_those_of_the_originals(tmp_path: Path) -> None:
    suite = write_suite(tmp_path / "suite", {"a": "train"})
    made = calibrate(suite, "sha256:0", [], BASE)
    scores = read_json(DATA / "methods-2" / "calibrated.json")["duo_attention"]["head_scores"]
    for place, layer in enumerate(LAYERS):
        wanted = load_file(DATA / "methods-2" / f"calibrated{layer:02d}.safetensors")
        held = made.layers[layer]
        np.testing.assert_allclose(held.query_axis, wanted["q_filter"], atol=1e-6)
        np.testing.assert_allclose(held.query_mean, wanted["tri.q_mean"], atol=1e-5)
        np.testing.assert_allclose(held.query_abs_mean, wanted["tri.q_abs_mean"], atol=1e-5)
        np.testing.assert_allclose(made.constants["duo_attention"][place], scores[layer], rtol=1e-5)


def test_the_file_says_what_it_is_of_and_equal_suites_give_equal_bytes(tmp_path: Path) -> None:
    suite = write_suite(tmp_path / "suite", {"a": "train", "b": "test"})
    (tmp_path / "mine.json").write_text(json.dumps([[layer, layer + 0.25, -1] for layer in range(30)]))
    made = calibrate(suite, "sha256:0", [f"mine={tmp_path / 'mine.json'}"], BASE)
    made.write(tmp_path / "one")
    calibrate(suite, "sha256:0", [f"mine={tmp_path / 'mine.json'}"], BASE).write(tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    metadata = made.metadata()
    assert metadata["format"] == CALIBRATION_FORMAT
    assert (metadata["model"], metadata["num_layers"], metadata["layers"]) == ("M", "30", "0,14,29")
    assert [entry["document"] for entry in json.loads(metadata["documents"])] == ["a"]
    tensors = load_file(tmp_path / "one")
    assert tensors["constants.mine"].tolist() == [[0, 0.25, -1], [14, 14.25, -1], [29, 29.25, -1]]
    assert tensors["tables.lukv"].shape == (99, 3, 3)


def test_shares_of_lukv_remove_what_is_asked_for_and_never_give_back() -> None:
    cells = np.random.default_rng(1).random((4, 3, 50)) * np.arange(1, 13).reshape(4, 3, 1)
    shares = removed_shares(cells)
    np.testing.assert_allclose(shares.mean((1, 2)), [int((row + 1) / 100 * 600) / 600 for row in range(99)])
    assert (np.diff(shares, axis=0) >= 0).all()
    assert shares[49, 0, 0] > shares[49, 3, 2], "heads of small cells lose more"


def test_what_a_token_adds_falls_from_token_to_token() -> None:
    assert falling(np.array([3.0, 1, 2, 0, 4])).tolist() == [3, 1.75, 1.75, 1.75, 1.75]
    attention = np.array([[8.0, 7, 6, 5, 1, 3, 2, 4]])
    scores = np.array([[0.0, 0, 0, 0, 2, 3, 1, 0]])  # token 5 before 4 and 6, behind the sinks and the last one
    assert gains(attention, scores).tolist() == [[8, 7, 6, 5, 4, 3, 1.5, 1.5]]


def test_installing_names_the_file_in_the_suite(tmp_path: Path) -> None:
    suite = write_suite(tmp_path / "suite", {"a": "train"})
    other = write_suite(tmp_path / "other", {"b": "test"})
    made = calibrate(suite, "sha256:0", [], BASE)
    made.write(suite / CALIBRATION_FILE)
    _check_installable(other, made)
    for folder in (suite, other):
        install(folder, suite / CALIBRATION_FILE)
        noted = read_json(folder / "suite.json")["calibration_file"]
        assert noted == {"file": CALIBRATION_FILE, "sha256": sha256_of_file(folder / CALIBRATION_FILE)}


def test_what_cannot_be_learned_from_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="no document of the split train"):
        calibrate(write_suite(tmp_path / "tests", {"a": "test"}), "", [], BASE)
    suite = write_suite(tmp_path / "suite", {"a": "train"})
    made = calibrate(suite, "", [], BASE)
    judged = write_suite(tmp_path / "judged", {"a": "valid"})
    with pytest.raises(ToolError, match="document a is of the split valid"):
        _check_installable(judged, made)
    changed = read_json(judged / "suite.json")
    write_json(judged / "suite.json", {**changed, "weights": "V"})
    with pytest.raises(ToolError, match="is of the model M"):
        _check_installable(judged, made)
    (tmp_path / "short.json").write_text("[[1, 2, 3]]")
    with pytest.raises(ToolError, match="not 30 lists"):
        calibrate(suite, "", [f"mine={tmp_path / 'short.json'}"], BASE)
    with pytest.raises(UsageError, match="not NAME=FILE"):
        calibrate(suite, "", ["Mine"], BASE)
    write_trace(suite / "a.safetensors", (0,))
    with pytest.raises(ToolError, match=r"is not as suite\.json says"):
        calibrate(suite, "", [], BASE)
