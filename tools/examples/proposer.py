#!/usr/bin/env python3
"""The smallest proposer (protocol evictlab-proposer/1), to copy: adds one more column to the champion.

evictlab evolve --suite smollm2 --state run.json --proposer 'python3 tools/examples/proposer.py'
"""
# SPDX-License-Identifier: MIT

import json
import random
import sys


def propose(request):
    """Formulas for one request; the same request gets the same ones."""
    draw = random.Random(request["id"])
    champion = request["champions"][-1]["formula"]
    for _ in range(request["wanted"]):
        column = draw.choice(request["columns"])
        weight = f"{10 ** draw.uniform(-4, 0):.3g}"
        yield {
            "formula": f"{champion} + {weight}*{column['name']}",
            "hypothesis": f"the champion does not see this yet: {column['help']}",
        }


print(json.dumps({"protocol": "evictlab-proposer/1", "proposer": "one more column"}), flush=True)
for line in sys.stdin:  # until evolve closes it
    request = json.loads(line)
    try:
        answer = {"id": request["id"], "proposals": list(propose(request))}
    except (KeyError, IndexError) as error:
        answer = {"id": request.get("id"), "error": f"the request lacks {error}"}
    print(json.dumps(answer), flush=True)
