"""The options of evictlab-verdict, which are read before torch is imported."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import argparse
from pathlib import Path

from evictlab_tools import __version__
from evictlab_tools.device import add_device_options
from evictlab_tools.documents import SPLITS
from evictlab_tools.errors import UsageError
from evictlab_tools.judge_protocol import PROTOCOLS
from evictlab_tools.scoring.options import add_scoring_option
from evictlab_tools.shapes import BLOCK_SCORES, GRANULARITIES, JOINS, Shape

WAYS = ("prefill", "decode")  # of evicting, as protocols of evictlab bench
RETENTIONS = (0.10, 0.25, 0.50, 0.75)


def parse_retentions(text: str) -> tuple[float, ...]:
    try:
        retentions = tuple(dict.fromkeys(float(part) for part in text.split(",")))
    except ValueError:
        raise UsageError(f"--retentions {text}: not numbers with commas between, as 0.1,0.25") from None
    if not all(0 < retention <= 1 for retention in retentions):
        raise UsageError(f"--retentions {text}: a retention is above 0 and at most 1")
    return retentions


def parse_numbers(text: str) -> tuple[int, ...]:
    try:
        numbers = tuple(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        raise UsageError(f"--keep {text}: not whole numbers with commas between, as 256,512") from None
    if min(numbers) < 1:
        raise UsageError(f"--keep {text}: a number of tokens is above 0")
    return numbers


def add_shape_options(result: argparse.ArgumentParser) -> None:
    """As those of evictlab bench; docs/shapes.md."""
    add = result.add_argument
    add("--granularity", choices=GRANULARITIES, help="who shares a set of kept tokens: nobody (head, the default), the "
        "heads of a layer, or all layers and heads")  # fmt: skip
    add("--join", choices=JOINS, help=f"how the scores of those become one ({Shape().join})")
    add("--block", type=int, metavar="N", help="tokens go in blocks of N (1)")
    add("--block-score", choices=BLOCK_SCORES, help="a block's score from its tokens' (mean)")
    add("--sinks", type=int, metavar="N", help="the first N tokens stay (0)")
    add("--recent", type=int, metavar="N", help="the last N tokens stay (0)")


def shape_from(given: argparse.Namespace) -> Shape:
    names = ("granularity", "join", "block", "block_score", "sinks", "recent")
    typed = {name: getattr(given, name) for name in names if getattr(given, name) is not None}
    shape = Shape(**typed)
    if "join" in typed and shape.granularity == "head":
        raise UsageError("--join is for --granularity layer and model: with head no scores are joined")
    if "block_score" in typed and shape.block == 1:
        raise UsageError("--block-score is for blocks of several tokens: give --block N")
    return shape


def add_decode_options(result: argparse.ArgumentParser) -> None:
    add = result.add_argument
    add("--schedule", help="with --protocol decode, when the cache is cut: every:N tokens, slack:N, decoding_press:N, "
        "once, turns, or tova, h2o, rkv, triattention; docs/verdict.md (every:1)")  # fmt: skip
    add("--generate", action="store_true", default=None, help="with --protocol decode: the model goes on with its own "
        "likeliest tokens, not with the text")  # fmt: skip
    add("--bin", type=int, metavar="N", help="with --protocol decode: figures along the text, in bins of N tokens (16)")


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="evictlab-verdict",
        description="Measures, inside the model itself, what evicting with each scorer does to its predictions: the KL "
        "divergence from the run without eviction and the change of the negative log-likelihood.",
        epilog="example: evictlab-verdict SmolLM2.gguf suites/smollm2 --scorers snapkv@kvpress,knorm@kvpress "
        "--output verdict.json",
    )
    add = result.add_argument
    add("--version", action="version", version=f"%(prog)s {__version__}")
    add("model", help="a folder of a Hugging Face model, a name on its hub, or a GGUF file")
    add(
        "inputs",
        nargs="+",
        type=Path,
        help="a captured suite, by folder or name; or manifests of documents and text files",
    )
    add("--wide", action="store_true", help="all tables, as Markdown, however narrow the terminal is")
    add("--scorers", action="append", help="as for evictlab bench, and Python's own as module:name; random and the "
        "oracles always come with them (all). With --serve: Python's own that requests may name")  # fmt: skip
    add("--retentions", help=f"shares kept (default {','.join(map(str, RETENTIONS))})")
    add("--keep", metavar="K", help="in place of --retentions: tokens that each set keeps, as 256,512")
    add_shape_options(result)
    add("--split", action="append", choices=SPLITS, help="of the documents; may be repeated (test, test_other_model)")
    add("--output", "-o", type=Path, default=Path("verdict.json"), help="the JSON (default verdict.json)")
    add("--journal", type=Path, help="what is finished, to go on from after a stop (default OUTPUT.journal)")
    add("--correlate", nargs="?", const="", metavar="BENCH", help="how well the offline measures predict the verdict: "
        "against this bench JSON, or one that is made now")  # fmt: skip
    add("--plugin-dir", action="append", type=Path, default=[], help="a folder of scorer plugins; may be repeated")
    add("--calibration", type=Path, metavar="FILE", help="what evictlab-calibrate learned of the model, for scorers "
        "that read it (default: the file that the suite names)")  # fmt: skip
    add("--value-bytes", type=float, metavar="B", help="bytes of a number in the KV cache, for the table's bytes (2)")
    add("--no-cost", action="store_true", default=None, help="leave out how long scoring takes, and the cache's bytes")
    add("--sliding-layers", action="store_true", help="evict in layers with a sliding window too")
    add(
        "--model-name",
        help="what the model is called in the result (default: as the suite has it, or its folder or file)",
    )
    add("--revision", help="commit, branch or tag on the hub")
    add("--prompt", type=int, default=1024, help="of texts: tokens of the prompt (default 1024)")
    add("--continuation", type=int, default=128, help="of texts: tokens after it (default 128)")
    add("--kind", default="text", help="kind of the plain text files (default text)")
    add("--dry-run", action="store_true", help="say what memory a document will need, and run nothing")
    add_device_options(result)
    add_scoring_option(result)
    add("--threads", type=int, help="threads (default: one a core; with --serve, one a worker)")
    add("--serve", action="store_true", help="answer requests on standard input about a suite's train and valid "
        "documents, one JSON object a line")  # fmt: skip
    add("--on", choices=("continuation", "answers"), default="continuation", help="with --serve: figures over all "
        "tokens of the continuation (default), or over those of its answers, of documents that have any")  # fmt: skip
    add("--protocol", choices=(*WAYS, *PROTOCOLS), help="prefill: evicted once, at the prompt's end (default); decode: "
        "a cache of fixed size, cut again as the model goes on; with --serve: the name by which the protocol is "
        f"greeted ({PROTOCOLS[0]}; the other one is what an earlier evictlab asks for)")  # fmt: skip
    add_decode_options(result)
    add("--workers", type=int, help="with --serve: documents that are judged at once (default: as cores allow)")
    return result
