// evictlab-llama as a user types it. SPDX-License-Identifier: MIT
#include <nlohmann/json.hpp>
#include <regex>

#include "tests/engine/tiny_llama.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace evictlab::test;
using Json = nlohmann::json;

namespace {

struct Place {
    TemporaryFolder folder;
    Place() {
        TinyLlama().write(folder / "tiny.gguf");
        put(folder / "text", text_of(200));
    }
    Outcome run(const std::string& options,
                const std::string& in_front = "tiny.gguf --prompt text --threads 1 ") const {
        return shell("'" EVICTLAB_LLAMA_BINARY "' " + in_front + options, folder.path.string());
    }
    Json figures(const std::string& options) const {
        const Outcome outcome = run(options + " --json figures.json");
        INFO(options << "\n" << outcome.err);
        REQUIRE(outcome.code == 0);
        return Json::parse(bytes_of(folder / "figures.json"));
    }
};

} // namespace

TEST_CASE("Keeping everything changes nothing, and keeping less does") {
    const Place place;
    const Json all = place.figures("--scorer snapkv@kvpress --retention 1 --continuation 20");
    CHECK(all["rows"][0]["kl"] == 0.0);
    CHECK(all["rows"][0]["top1_agreement"] == 1.0);
    CHECK(all["rows"][0]["perplexity"] == all["full"]["perplexity"]);
    CHECK(all["prompt_tokens"] == 180);
    CHECK(all["full"]["cache"]["bytes"] == 180 * 768);
    const Json few = place.figures("--compare random,snapkv@kvpress,=-position --keep 20 --continuation 20");
    REQUIRE(few["rows"].size() == 3);
    for (const Json& row : few["rows"]) {
        CHECK(row["kl"] > 0.001);
        CHECK(row["cache"]["cells"] == 20);
        CHECK(row["cache"]["bytes"] == 20 * 768);
        CHECK(row["evictions"] == 1);
    }
    CHECK(few["full"]["perplexity"] == all["full"]["perplexity"]);
}

TEST_CASE("What is said without eviction is said with everything kept, and the table shows both") {
    const Place place;
    const Outcome outcome = place.run("--scorer snapkv@kvpress --retention 1 --generate 12");
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    CHECK_THAT(outcome.out, ContainsSubstring("prompt: 200 tokens"));
    CHECK_THAT(outcome.out, ContainsSubstring("judged along 12 tokens that the model says without eviction"));
    CHECK_THAT(outcome.out, ContainsSubstring("snapkv@kvpress"));
    const Json json = place.figures("--scorer snapkv@kvpress --retention 1 --generate 12");
    CHECK(json["full"]["text"] == json["rows"][0]["text"]);
    CHECK(json["continuation"] == "generated");
}

TEST_CASE("The cache stays as small as it was made where tokens go again and again") {
    const Place place;
    for (const char* granularity : {"head", "layer", "model"}) {
        const Json json =
            place.figures(std::string("--scorer observed_attention@kvpress --keep 40 --every 8 --continuation 50 "
                                      "--granularity ") +
                          granularity);
        CHECK(json["rows"][0]["evictions"] == 1 + 6);
        CHECK(json["rows"][0]["cache"]["cells"] == 40);
        CHECK(json["rows"][0]["kl"] > 0);
        CHECK(json["rows"][0]["later_evictions"] ==
              "places"); // the attention of earlier queries to what is gone is lost
    }
    const Json others =
        place.figures("--compare expected_attention@kvpress,=token_type+0.001*position,random --keep 40 "
                      "--every 8 --continuation 50");
    for (const Json& row : others["rows"]) {
        CHECK(row["evictions"] == 1 + 6);
        CHECK_FALSE(row.contains("later_evictions"));
    }
    // Nobody notices where what is behind the prompt never fills the interval.
    const std::string once = "--scorer observed_attention@kvpress --keep 40 --continuation 20";
    CHECK(place.figures(once)["rows"][0]["kl"] == place.figures(once + " --every 20")["rows"][0]["kl"]);
}

TEST_CASE("Several budgets are rows of one run, as they are alone") {
    const Place place;
    const std::string common = "--compare snapkv@kvpress,=key_norm --continuation 20 ";
    const Json both = place.figures(common + "--retention 0.25,0.5"), half = place.figures(common + "--retention 0.5");
    REQUIRE(both["rows"].size() == 4);
    CHECK(both["rows"][0]["retention"] == 0.25);
    for (const int row : {0, 1}) CHECK(both["rows"][2 * row + 1]["kl"] == half["rows"][row]["kl"]);
    CHECK(both["document"] == "text");
    const Json tokens = place.figures(common + "--keep 90 --keep 45 --granularity model --block 9 --sinks 3");
    CHECK(tokens["rows"][1]["keep"] == 45);
    CHECK(tokens["rows"][1]["cache"]["cells"] == 45);
    CHECK(tokens["shape"]["block"] == 9);
}

TEST_CASE("A prompt longer than the cache goes through it") {
    const Place place;
    const std::string options = " --compare observed_attention@kvpress,random --continuation 20 ";
    const Json json = place.figures("--cache 64 --every 16" + options);
    for (const Json& row : json["rows"]) {
        CHECK(row["cache"]["cells"] <= 64);
        CHECK(row["evictions"] == 9); // (200 - 64) / 16, rounded up
        CHECK(row["kl"] > 0.001);
        CHECK(row["kl"] < 20);
    }
    // Where it is never full, nothing is lost but the order of sums over a prompt that goes in pieces.
    for (const Json& row : place.figures("--cache 400 --every 16" + options)["rows"]) {
        CHECK(row["evictions"] == 0);
        CHECK(row["kl"] < 1e-4);
    }
    // As many cells as the prompt is long: its eviction is the one that is asked for without --cache.
    const auto kl = [&](const std::string& budget) {
        return place
            .figures(budget + " --every 80 --scorer observed_attention@kvpress --continuation 20")["rows"][0]["kl"]
            .get<double>();
    };
    CHECK(kl("--cache 180") == Approx(kl("--keep 100")).epsilon(0.05));
    CHECK(place.figures("--cache 64 --every 16 --granularity model" + options)["rows"][0]["evictions"] == 9);
}

TEST_CASE("A prompt of one token, and one kept token") {
    const Place place;
    CHECK(place.figures("--scorer snapkv@kvpress --retention 0.1 --tokens 2 --continuation 1")["rows"][0]["kl"] == 0.0);
    CHECK(place.figures("--scorer snapkv@kvpress --keep 1 --continuation 5")["rows"][0]["cache"]["cells"] == 1);
    CHECK(place.figures("--scorer snapkv@kvpress --keep 9999 --continuation 5")["rows"][0]["kl"] == 0.0);
    for (const char* join : {"mean", "max", "rank"})
        CHECK(
            place.figures(std::string("--scorer snapkv@kvpress --keep 1 --granularity model --continuation 5 --join ") +
                          join)["join"] == join);
}

TEST_CASE("Every option that the documentation names is one") {
    const std::string page = bytes_of(EVICTLAB_SOURCE_DIR "/docs/llama.md"), help = Place().run("--help", "").out;
    const std::regex option("--[a-z][-a-z]*");
    std::size_t found = 0;
    for (std::sregex_iterator at(page.begin(), page.end(), option), end; at != end; ++at) {
        const std::string name = at->str();
        if (name == "--preset" || name == "--build" || name == "--install") continue;
        if (name == "--suite" || name == "--state" || name == "--verdict" || name == "--engine")
            continue; // evolve's, report's
        INFO(name);
        CHECK((name == "--help" || help.find(name + " ") != std::string::npos));
        ++found;
    }
    CHECK(found > 20);
}

TEST_CASE("Wrong use of evictlab-llama exits with 2, what fails with 1") {
    const Place place;
    const auto check = [&](int code, const std::string& options, const std::string& message, const char* in_front) {
        const Outcome outcome = place.run(options, in_front);
        INFO(options);
        CHECK(outcome.code == code);
        CHECK(outcome.out.empty());
        CHECK_THAT(outcome.err, ContainsSubstring("evictlab-llama: "));
        CHECK_THAT(outcome.err, ContainsSubstring(message));
    };
    const char *good = "tiny.gguf --prompt text --threads 1 ", *none = "";
    check(2, "", "give one model", none);
    check(2, "tiny.gguf", "no prompt given", none);
    check(2, "", "no scorer given", good);
    check(2, "--scorer snapkv@kvpress", "give one of --retention R, --keep K and --cache C", good);
    check(2, "--scorer snapkv@kvpress --keep 3 --retention 0.5", "give one of --retention R", good);
    check(2, "--scorer snapkv@kvpress --cache 64", "--cache C needs --every N", good);
    check(2, "--scorer snapkv@kvpress --cache 64 --every 64", "--cache C needs --every N, below C", good);
    check(2, "--scorer snapkv@kvpress --keep 0", "--keep is 0, but must be a whole number above 0", good);
    check(2, "--scorer snapkv@kvpress --retention 2", "--retention 2 is out of range", good);
    check(2, "--scorer snapkv@kvpress --keep many", "--keep is 'many', but must be a whole number", good);
    check(2, "--scorer snapkw --keep 3", "did you mean 'snapkv'?", good);
    check(2, "--scoerr snapkv --keep 3", "did you mean '--scorer'?", good);
    check(2, "--scorer snapkv@kvpress --keep 3 --granularity heads", "did you mean 'head'?", good);
    check(2, "--scorer snapkv@kvpress --keep 3 --join rank", "--join is for --granularity layer and model", good);
    check(2, "--scorer snapkv@kvpress --keep 3 --every 9 --block 3",
          "--block is for a prompt that is evicted from once", good);
    check(2, "--scorer snapkv@kvpress --keep 3 --sinks 4", "keep more, or protect fewer", good);
    check(2, "--scorer snapkv@kvpress --keep 3 --cache-type q8_0", "--cache-type is 'q8_0'", good);
    check(2, "--scorer snapkv@kvpress --keep 3 --generate 0", "nothing follows the prompt", good);
    check(2, "--scorer snapkv@kvpress --keep 3 --tokens 999", "--tokens is 999, but 'text' has only 200", good);
    check(2, "--scorer snapkv@kvpress --keep 3 --continuation 200", "leave no prompt", good);
    check(2, "--scorer snapkv@kvpress --keep 3 --generate 9999", "the model was made for 4096", good);
    check(2, "--scorer 'adakv@kvpress(snapkv@kvpress)' --keep 3", "heads keep different counts", good);
    check(2, "--scorer snapkv@kvpress --keep 3", "prompt 'none'", "tiny.gguf --prompt none --threads 1 ");
    check(2, "--scorer snapkv@kvpress --keep 3", "model 'none.gguf'", "none.gguf --prompt text --threads 1 ");
    check(1, "--scorer snapkv@kvpress --keep 3", "llama.cpp cannot open 'text'", "text --prompt text --threads 1 ");
    check(1, "--scorer snapkv@kvpress --keep 3 --json nowhere/x.json", "nowhere", good);
    CHECK_THAT(place.run("--help", "").out, ContainsSubstring("Examples:\n  evictlab-llama"));
    CHECK_THAT(place.run("--version", "").out, ContainsSubstring("evictlab-llama 1."));
}
