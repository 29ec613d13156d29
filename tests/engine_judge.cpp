// evictlab-llama --serve: the figures of a judge are those of the model, and its protocol is that of evictlab-verdict.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "engine/program/judge.hpp"
#include "tests/engine/tiny_sequence.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/process.hpp"

using namespace evictlab;
using namespace evictlab::engine;
using namespace evictlab::test;
using json = nlohmann::json;

namespace {

constexpr std::size_t prompt = 60, behind = 20;

DocumentSet two_documents() {
    const std::vector<llama_token> tokens = TinyLlama::tokens(text_of(2 * (prompt + behind)));
    const auto part = [&](std::size_t from) {
        const auto begin = tokens.begin() + static_cast<std::ptrdiff_t>(from);
        return std::vector<llama_token>(begin, begin + static_cast<std::ptrdiff_t>(prompt + behind));
    };
    return {
        "tiny", "sha256:0", {{"one", "prose", "train", part(0), prompt}, {"two", "code", "valid", part(80), prompt}}};
}

double log_sum_exp(const std::vector<double>& logits) {
    double sum = 0;
    for (const double logit : logits) sum += std::exp(logit);
    return std::log(sum);
}

/// KL(full || evicted) by the slow computation, which knows nothing of llama.cpp, in doubles.
double divergence(const TinyLlama& tiny, const Document& document, const KeptCells& kept) {
    const auto full = tiny.run(document.tokens).logits, evicted = tiny.run(document.tokens, prompt, kept).logits;
    double sum = 0;
    for (std::size_t i = prompt; i < full.size(); ++i) {
        const double p_all = log_sum_exp(full[i]), q_all = log_sum_exp(evicted[i]);
        for (std::size_t t = 0; t < full[i].size(); ++t)
            sum += std::exp(full[i][t] - p_all) * (full[i][t] - p_all - evicted[i][t] + q_all);
    }
    return sum / static_cast<double>(behind);
}

/// By the key's norm, later tokens a little before their equals: in the first layer a key's norm is its token's alone.
constexpr const char* by_key_norm = "=key_norm * (1 + 0.001 * position)";
KeptCells smallest_keys_go(const TinyLlama& tiny, const Document& document, std::size_t count) {
    const TinyLlama::Run run = tiny.run(document.tokens);
    const std::size_t dim = tiny.shape().dim, n = document.tokens.size();
    KeptCells kept;
    for (const TinyLlama::Layer& layer : run.layers) {
        kept.emplace_back();
        for (std::size_t h = 0; h < tiny.shape().kv_heads; ++h) {
            std::vector<double> norms;
            for (std::size_t i = 0; i < prompt; ++i) {
                double squares = 0;
                for (std::size_t x = 0; x < dim; ++x)
                    squares += std::pow(static_cast<double>(layer.k[(h * n + i) * dim + x]), 2);
                norms.push_back(std::sqrt(squares) * (1 + 0.001 * static_cast<double>(i)));
            }
            std::vector<std::uint32_t> places(prompt);
            for (std::uint32_t i = 0; i < prompt; ++i) places[i] = i;
            std::ranges::sort(places, std::ranges::greater{}, [&](std::uint32_t i) { return norms[i]; });
            places.resize(count);
            std::ranges::sort(places);
            kept.back().push_back(places);
        }
    }
    return kept;
}

struct Service {
    TemporaryFolder folder;
    Service() {
        TinyLlama().write(folder / "tiny.gguf");
        json documents = json::array();
        for (const char* split : {"train", "valid", "test"}) {
            const std::string file = std::string(split) + ".txt";
            put(folder.path / file, std::string(split) + " " + text_of(100));
            documents.push_back({{"document", split}, {"kind", "prose"}, {"split", split}, {"file", file}});
        }
        put(folder / "documents.json", json{{"format", "evictlab-documents/1"}, {"documents", documents}}.dump());
    }
    /// What a service says to these lines.
    std::vector<json> answers(const std::string& lines, const std::string& options = "--workers 2") const {
        put(folder / "requests", lines);
        const Outcome outcome =
            shell("'" EVICTLAB_LLAMA_BINARY "' tiny.gguf documents.json --serve --tokens 80 --continuation 20 " +
                      options + " <requests",
                  folder.path.string());
        INFO(outcome.err);
        REQUIRE(outcome.code == 0);
        std::vector<json> all;
        std::istringstream out(outcome.out);
        for (std::string line; std::getline(out, line);) all.push_back(json::parse(line));
        return all;
    }
};

std::string request(int id, const std::string& scorer, const json& documents = {"train", "valid"},
                    const json& retentions = {0.25, 1.0}) {
    return json{{"id", id}, {"scorer", scorer}, {"documents", documents}, {"retentions", retentions}}.dump() + "\n";
}

} // namespace

TEST_CASE("A judge's divergence is that of the model: to float noise in F32, to what an F16 cache rounds in F16") {
    for (const bool half_split : {false, true}) {
        TinyLlama::File how;
        how.half_split = half_split;
        const OpenTiny open({}, how);
        const Lab lab(std::span<const std::filesystem::path>{});
        for (const ggml_type type : {GGML_TYPE_F16, GGML_TYPE_F32}) {
            Judge judge(*open.model, two_documents(), {}, 1, type);
            const auto worker = judge.worker();
            const std::vector<Budget> budgets{{0.25, 0}, {0.5, 0}, {0, 2 * prompt}};
            for (const std::size_t number : {std::size_t{1}, std::size_t{0}, std::size_t{1}}) {
                const Document& document = judge.documents().documents[number];
                const auto found = judge.divergences(*worker, Scorer(lab, by_key_norm), {}, number, budgets);
                REQUIRE(found.size() == 3);
                for (std::size_t r = 0; r < 2; ++r) {
                    const auto count = static_cast<std::size_t>(prompt * budgets[r].retention);
                    // An F16 cache rounds keys and values by 2^-11 of each, which moves logits of about 3 by some 0.003
                    // and a divergence, quadratic in what eviction moves, by 1 %. With F32 there is the float noise.
                    const double expected =
                        divergence(open.tiny, document, smallest_keys_go(open.tiny, document, count));
                    INFO(document.name << " at " << budgets[r].retention << ": " << found[r] << ", not " << expected);
                    CHECK(expected > 0.05);
                    CHECK(found[r] == Approx(expected).epsilon(type == GGML_TYPE_F32 ? 1e-5 : 0.01));
                }
                CHECK(found[2] == 0);
            }
        }
    }
}

TEST_CASE("A figure does not depend on what was asked before, nor on how many workers answer") {
    const Service service;
    std::string all;
    const std::vector<std::string> scorers{"snapkv@kvpress:window=8", "=key_norm", "observed_attention@kvpress"};
    for (std::size_t i = 0; i < 3; ++i) all += request(static_cast<int>(i), scorers[i]);
    std::map<int, json> by_one, by_three;
    for (const json& answer : service.answers(all, "--workers 1"))
        if (answer.contains("id")) by_one[answer["id"]] = answer["kl"];
    for (const json& answer : service.answers(all, "--workers 3"))
        if (answer.contains("id")) by_three[answer["id"]] = answer["kl"];
    REQUIRE(by_one.size() == 3);
    for (const auto& [id, kl] : by_one) CHECK(kl[0][0] > 0);
    CHECK(by_one == by_three);
    const auto alone = service.answers(request(7, scorers[2], {"valid", "train"}, {1.0, 0.25}));
    REQUIRE(alone.size() == 2);
    CHECK(alone[1]["kl"][0][1] == by_one[2][1][0]);
    CHECK(alone[1]["kl"][1][1] == by_one[2][0][0]);
    CHECK(alone[1]["kl"][1][0] == 0.0);
}

TEST_CASE("The service introduces itself with the model, its hash and the documents that a search may see") {
    const Service service;
    const json first = service.answers("", "--workers 3 --cache-type f32").at(0);
    CHECK(first["protocol"] == "evictlab-judge/1");
    CHECK(first["parallel"] == 3);
    CHECK(first["documents"] == json::array({{{"name", "train"}, {"kind", "prose"}, {"split", "train"}},
                                             {{"name", "valid"}, {"kind", "prose"}, {"split", "valid"}}}));
    const std::string judge = first["judge"];
    for (const char* part : {"tiny.gguf (sha256 ", "llama.cpp ", "cache f32", "suite documents sha256:"})
        CHECK_THAT(judge, ContainsSubstring(part));
    CHECK_THAT(service.answers("", "--granularity model").at(0)["judge"].get<std::string>(),
               ContainsSubstring("granularity model joined by mean"));
}

TEST_CASE("A request names its shape, and without one has the judge's") {
    const Service service;
    const auto asked = [&](int id, const char* shape) {
        json line = json::parse(request(id, "=key_norm", {"train"}, {0.25}));
        if (shape != nullptr) line["shape"] = json::parse(shape);
        return line.dump() + "\n";
    };
    const char* shapes[] = {nullptr,
                            R"({"granularity": "head", "join": "mean", "block": 1, "sinks": 0, "recent": 0})",
                            R"({"granularity": "model", "join": "mean", "block": 1, "sinks": 0, "recent": 0})",
                            R"({"granularity": "model", "join": "rank"})",
                            R"({"granularity": "model", "block": 5})",
                            R"({"granularity": "layer", "block": 5, "block_score": "max", "sinks": 4, "recent": 8})"};
    std::string lines;
    for (int i = 0; i < 6; ++i) lines += asked(i, shapes[i]);
    std::map<int, double> kl;
    for (const json& answer : service.answers(lines)) {
        if (!answer.contains("id")) {
            CHECK(answer["shapes"] == true);
            continue;
        }
        INFO(answer);
        kl[answer["id"]] = answer["kl"][0][0];
    }
    REQUIRE(kl.size() == 6);
    CHECK(kl[0] == kl[1]);
    std::set<double> different;
    for (const auto& [id, divergence] : kl) different.insert(divergence);
    CHECK(different.size() == 5);
    const auto own = service.answers(asked(0, nullptr) + asked(1, "{}"), "--workers 1 --granularity model");
    CHECK(own.at(1)["kl"][0][0] == kl[2]);
    CHECK(own.at(2)["kl"][0][0] == kl[0]);
    const std::vector<std::pair<const char*, const char*>> wrong{
        {"3", "expected an object"},
        {R"({"granularity": "heads"})", "did you mean 'head'?"},
        {R"({"grain": "head"})", "\"grain\" is nothing that a shape has"},
        {R"({"block": 0})", "block is 0"},
        {R"({"block": 16, "granularity": "layer"})", "which some layers would keep"},
        {R"({"sinks": 30})", "keep more, or protect fewer"}};
    for (const auto& [shape, why] : wrong) {
        INFO(shape);
        const auto answers = service.answers(asked(3, shape));
        CHECK(answers.at(1)["id"] == 3);
        CHECK_THAT(answers.at(1).value("error", ""), ContainsSubstring(why));
    }
}

TEST_CASE("A request may ask at numbers of tokens, whose names the retentions are") {
    const Service service;
    const auto asked = [](int id, const json& retentions, const json& keep) {
        json line = json::parse(request(id, "=key_norm", {"train", "valid"}, retentions));
        if (!keep.is_null()) line["keep"] = keep;
        return line.dump() + "\n";
    };
    std::map<int, json> kl;
    for (const json& answer :
         service.answers(asked(0, {0.25, 0.5}, nullptr) + asked(1, {0.9, 0.1}, {15, 30}) + asked(2, {1.0}, {1000}))) {
        if (answer.contains("id"))
            kl[answer["id"]] = answer["kl"];
        else
            CHECK(answer["keep"] == true);
    }
    REQUIRE(kl.size() == 3); // prompts of 60 tokens
    CHECK(kl[0] == kl[1]);
    CHECK(kl[0][0][0] > kl[0][0][1]);
    CHECK(kl[2] == json::array({{0.0}, {0.0}}));
    for (const json& wrong : {json(3), json::array(), json::array({1, 2}), json::array({0}), json::array({-4}),
                              json::array({1.5}), json::array({true}), json(nullptr)}) {
        json line = json::parse(request(3, "=key_norm", {"train"}, {0.5}));
        line["keep"] = wrong;
        const auto answers = service.answers(line.dump() + "\n");
        INFO(wrong);
        CHECK(answers.at(1)["id"] == 3);
        CHECK_THAT(answers.at(1).value("error", ""), ContainsSubstring("\"keep\" "));
    }
}

TEST_CASE("A wrong request is one error, and the next is answered") {
    const Service service;
    const std::vector<std::pair<std::string, std::string>> wrong{
        {"{nonsense\n", "not a line of JSON"},
        {"\"\xff\"\n", "not a line of JSON"},
        {std::string(100, '[') + "\n", "not a line of JSON"},
        {"[1,2]\n", "a request is a JSON object"},
        {R"({"scorer": "=key_norm"})"
         "\n",
         "has no \"id\""},
        {R"({"id": 1, "documents": ["train"], "retentions": [0.5]})"
         "\n",
         "\"scorer\" is not a text"},
        {request(1, "=no_such_column"), "no_such_column"},
        {request(1, "adakv@kvpress(snapkv@kvpress)"), "heads keep different counts"},
        {request(1, "snapkv@kvpress:window=70", {"train"}), "window=70 on train: "},
        {request(1, "=key_norm", json::array()), "\"documents\" is not a list"},
        {request(1, "=key_norm", {"test"}), "no document \"test\" is served"},
        {request(1, "=key_norm", {"train"}, 0.5), "\"retentions\" is not a list"},
        {request(1, "=key_norm", {"train"}, {0.5, 0}), "\"retentions\" has 0;"},
        {request(1, "=key_norm", {"train"}, json::array({true})), "\"retentions\" has true;"},
        {request(1, "=key_norm", {"train"}, {1e-17}), "no token is kept"}};
    for (const auto& [line, why] : wrong) {
        const auto answers = service.answers(line + " \n" + request(7, "=key_norm"));
        INFO(line);
        REQUIRE(answers.size() == 3);
        const json& error = answers[1].contains("error") ? answers[1] : answers[2];
        const json& good = answers[1].contains("error") ? answers[2] : answers[1];
        CHECK_THAT(error.value("error", ""), ContainsSubstring(why));
        CHECK(good["id"] == 7);
        CHECK(good["kl"].size() == 2);
    }
}

TEST_CASE("A service that is wrong exits, and says nothing on standard output") {
    const Service service;
    const auto check = [&](int code, const std::string& arguments, const std::string& message) {
        const Outcome outcome = shell("'" EVICTLAB_LLAMA_BINARY "' " + arguments, service.folder.path.string());
        INFO(arguments);
        CHECK(outcome.code == code);
        CHECK(outcome.out.empty());
        CHECK_THAT(outcome.err, ContainsSubstring(message));
    };
    check(2, "tiny.gguf --serve", "--serve needs a model and a suite");
    check(2, "tiny.gguf documents.json --serve --scorer snapkv", "--scorer is not for --serve");
    check(2, "tiny.gguf documents.json --serve --workers 0", "--workers is 0");
    check(2, "tiny.gguf documents.json --prompt documents.json", "give one model");
    check(2, "tiny.gguf no_such_suite --serve", "is no captured suite and no manifest");
    check(1, "tiny.gguf smollm2 --serve", "was captured from other weights");
    check(1, "tiny.gguf documents.json --serve", "106 tokens, but 1152 are needed");
    put(service.folder / "none.json", R"({"format": "evictlab-documents/1", "documents": [
        {"document": "x", "kind": "k", "split": "test", "file": "test.txt"}]})");
    check(1, "tiny.gguf none.json --serve", "no document of the split train or valid");
    put(service.folder / "other.json", R"({"format": "other"})");
    check(1, "tiny.gguf other.json --serve", "expected \"evictlab-documents/1\"");
}

TEST_CASE("Nobody is judged for once the reader is gone") {
    const Service service;
    put(service.folder / "requests", request(1, "=key_norm") + request(2, "=key_norm"));
    const Outcome outcome = shell("'" EVICTLAB_LLAMA_BINARY
                                  "' tiny.gguf documents.json --serve --tokens 80 --continuation 20 <requests | true",
                                  service.folder.path.string());
    CHECK(outcome.err.empty());
}

TEST_CASE("A search takes it as its judge, at an engine's grain too") {
    const Service service;
    const auto journal_of = [&](const std::string& state, const std::string& search) {
        const Outcome outcome = shell("evictlab evolve --state " + state + " --seed 3 " + search +
                                          " --verdict '" EVICTLAB_LLAMA_BINARY
                                          " tiny.gguf documents.json --serve --tokens 80 --continuation 20'",
                                      service.folder.path.string());
        INFO(outcome.out << outcome.err);
        CHECK(outcome.code == 0);
        return bytes_of(service.folder.path / (state + ".verdicts"));
    };
    for (const std::string& journal :
         {journal_of("micro.json", "--suite micro --generations 2 --population 8"),
          journal_of("model.json", "--suite smollm2 --generations 1 --population 2 --granularity model --join rank"),
          journal_of("keep.json", "--suite smollm2 --generations 1 --population 2 --keep 16,40")}) {
        CHECK_THAT(journal, ContainsSubstring("tiny.gguf (sha256"));
        CHECK_THAT(journal, ContainsSubstring("\"kl\""));
    }
}
