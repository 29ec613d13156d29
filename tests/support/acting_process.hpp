// External processes that act up: a judge and a proposer in Python whose manner is an argument, and which log each of
// their starts and each request in a file.
// SPDX-License-Identifier: MIT
#pragma once
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/support/temporary_folder.hpp"

namespace evictlab::test {

inline constexpr const char* acting_judge = R"py(
import json, re, signal, sys, time
manner, log = sys.argv[1], sys.argv[2]
def note(text):
    with open(log, "a") as file: file.write(text + "\n")
def say(thing): print(thing if isinstance(thing, str) else json.dumps(thing), flush=True)
note("start")
starts = open(log).read().split().count("start")
if manner == "dies at once": sys.exit(7)
if manner == "hangs at once": time.sleep(60)
if manner == "chats first": say("Loading the weights ...")
documents = [{"name": name, "kind": "prose", "split": split}
             for name, split in [("emma", "valid"), ("dorian", "train"), ("alice", "valid")]]
if manner == "has many":
    documents += [{"name": name, "kind": "prose", "split": "train"} for name in ("carmilla", "persuasion", "ulysses", "villette")]
if manner == "shows test": documents.append({"name": "secret", "kind": "prose", "split": "test"})
parallel = {"takes twenty": 20, "takes two": 2, "takes none": 0, "takes some": "some"}.get(manner)
shapes = {"heeds shapes": {"shapes": True}, "heeds numbers": {"keep": True}}.get(manner, {})
say({**shapes, **({} if parallel is None else {"parallel": parallel}), "protocol": "evictlab-verdict/1" if manner == "greets as of old" else "evictlab-judge/1", "judge": "another model" if manner == "another" else "a model",
     "documents": documents})
if manner == "is stubborn": signal.signal(signal.SIGTERM, signal.SIG_IGN)
held, seen = [], 0
for line in sys.stdin:
    request = json.loads(line)
    seen += 1
    shape = request.get("shape", {})
    note(request["scorer"] + " " + request["documents"][0] + "".join(f" {key}={shape[key]}" for key in shape)
         + (f" keep={request['keep']}" if "keep" in request else ""))
    name = request["documents"][0]
    answer = {"id": request["id"], "kl": [[(len(request["scorer"]) + len(name)) / r for r in request["retentions"]]]}
    if manner == "likes small constants":
        size = sum(float(number) for number in re.findall(r"[0-9.]+", request["scorer"]))
        answer["kl"] = [[size * len(name) / r for r in request["retentions"]]]
    if manner == "dies at the third" and seen == 3: sys.exit(3)
    if manner == "dies at the third once" and seen == 3 and starts == 1: sys.exit(3)
    if manner == "is killed" and seen == 1: signal.raise_signal(signal.SIGKILL)
    if manner == "hangs": time.sleep(600)
    if manner == "writes garbage": answer = "Traceback (most recent call last):\a"
    if manner == "writes a very long line": answer = "x" * (2 << 20)
    if manner == "answers NaN": answer["kl"][0][0] = float("nan")
    if manner == "answers below zero": answer["kl"][0][1] = -0.5
    if manner == "answers too few": answer["kl"][0].pop()
    if manner == "answers a text": answer["kl"] = "0.5"
    if manner == "answers something else": answer["id"] = 99
    if manner == "refuses" and name == "dorian": answer = {"id": request["id"], "error": "no such\ncolumn"}
    held.append(answer)
    if manner == "answers in reverse" and seen < 3: continue
    if manner == "takes twenty" and seen < 20: continue
    if manner == "takes two" and seen < 8: continue
    for answer in reversed(held): say(answer)
    held = []
if manner == "is stubborn": time.sleep(600)
)py";

inline constexpr const char* acting_proposer = R"py(
import json, sys, time
manner, log = sys.argv[1], sys.argv[2]
with open(log, "a") as file: file.write("start\n")
if manner == "dies at once": sys.exit(7)
print(json.dumps({"protocol": "evictlab-proposer/1", "proposer": "an\x07 actor"}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    with open(log, "a") as file: file.write(line)
    if manner == "dies": sys.exit(0)
    if manner == "hangs": time.sleep(60)
    if manner == "chats": print("Here are some\tformulas:\n{\"id\": 4}", flush=True)
    if manner == "raves":
        while True: print("[" * 100000, flush=True)
    proposals = [{"formula": "recent_attn", "hypothesis": "what was\nread\x1b[31m will be read " + "x" * 600},
                 {"formula": "recent_attn + ", "hypothesis": "cut off"},
                 {"formula": "key_norm", "hypothesis": "not offered"},
                 {"formula": "+".join(["recent_attn"] * 40), "hypothesis": "too large"},
                 {"formula": 5}, "recent_attn",
                 {"formula": "position*0.5"}, {"formula": "position*2"}]
    answer = {"id": request["id"], "proposals": proposals}
    if manner == "refuses": answer = {"id": request["id"], "error": "out of credit"}
    if manner == "answers a text": answer["proposals"] = "recent_attn"
    print(json.dumps(answer), flush=True)
)py";

/// One of them in a folder of its own.
struct ActingProcess {
    TemporaryFolder folder;

    explicit ActingProcess(const char* script) { put(folder / "act.py", script); }
    std::string command(const std::string& manner) const {
        return "exec python3 '" + (folder / "act.py").string() + "' '" + manner + "' '" + (folder / "log").string() +
               "'";
    }
    bool has_logged(const std::string& text) const {
        return std::filesystem::exists(folder / "log") && bytes_of(folder / "log").find(text) != std::string::npos;
    }
    /// What it logged since this was last called.
    std::vector<std::string> log() const {
        std::ifstream file(folder / "log");
        std::vector<std::string> lines;
        for (std::string line; std::getline(file, line);) lines.push_back(line);
        file.close();
        std::filesystem::remove(folder / "log");
        return lines;
    }
};

} // namespace evictlab::test
