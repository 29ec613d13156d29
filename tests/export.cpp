// A formula leaves the lab with its provenance: as a file that loads as a scorer, and as Python and C++ that a reader
// can follow. What the plugin keeps is compared in out_of_tree.cpp, what the press keeps in tools/tests/test_export.py.
// SPDX-License-Identifier: MIT
#include <fstream>
#include <tuple>

#include "base/error.hpp"
#include "export/exports.hpp"
#include "export/torch_pieces.hpp"
#include "framework/capture/calibration_file.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace evictlab;
using namespace evictlab::test;

namespace {

exporting::Champion made(std::string_view formula, std::vector<std::string> provenance = {}) {
    return {"mine", formula::parse(formula), std::move(provenance)};
}

std::string after(const std::string& text, const std::string& what) {
    const auto at = text.find(what);
    return at == std::string::npos ? "" : text.substr(at + what.size(), text.find('\n', at) - at - what.size());
}

/// A short run in `folder`/run.json.
void run_in(const TemporaryFolder& folder) {
    const Outcome run =
        shell("evictlab evolve --suite micro --seq-len 24 --layers 2 --patterns 2 --population 30 --seed "
              "3 --state run.json --generations 6 --quiet",
              folder.path.string());
    INFO(run.err);
    REQUIRE(run.code == 0);
}

} // namespace

TEST_CASE("a champion's file tells where it comes from, and is the champion as a scorer") {
    const TemporaryFolder folder;
    const std::string where = folder.path.string();
    run_in(folder);
    const Outcome exported = shell("evictlab export run.json --to formula --output best.formula", where);
    INFO(exported.err);
    REQUIRE(exported.code == 0);
    CHECK_THAT(exported.out, ContainsSubstring("best.formula\n"));
    const std::string text = bytes_of(folder / "best.formula");
    for (const char* fact :
         {"# suite       micro sha256:", "# run         seed 3, generation ", " of 6, from hybrid_start",
          "# candidate   g", "# hypothesis  ", "# train error 0.", "(retention 0.25: 0.", "# valid error 0.",
          "# found by    evictlab evolve --suite micro --seq-len 24", "exported by evictlab 1."})
        CHECK_THAT(text, ContainsSubstring(fact));
    const std::string hash = after(text, "# hash        ");
    CHECK(hash.size() == 16);
    CHECK_THAT(shell("evictlab formula print best.formula", where).out, ContainsSubstring(hash));
    CHECK(
        shell("evictlab bench --suite micro --seq-len 24 --layers 2 --patterns 2 --scorers best.formula", where).code ==
        0);

    // The command in it finds the same formula again.
    REQUIRE(shell(after(text, "# found by    ") + " --quiet", where).code == 0);
    REQUIRE(shell("evictlab export repeated.json --to formula --name again", where).code == 0);
    CHECK(after(bytes_of(folder / "again.formula"), "# hash        ") == hash);

    // And what is exported from the file keeps all of that.
    REQUIRE(shell("evictlab export best.formula --to cpp-plugin", where).code == 0);
    CHECK_THAT(bytes_of(folder / "best" / "best.cpp"),
               ContainsSubstring("// hash        " + hash) && ContainsSubstring(".id = \"best\""));
}

TEST_CASE("every champion of a run can be exported by its id, and no other") {
    const TemporaryFolder folder;
    const std::string where = folder.path.string();
    run_in(folder);
    const Outcome refused = shell("evictlab export run.json:g99-s1 --to formula", where);
    CHECK(refused.code == 2);
    const std::string ids = after(refused.err, "there are: "), id = ids.substr(0, ids.find(','));
    REQUIRE(shell("evictlab export run.json:" + id + " --to formula --name first", where).code == 0);
    CHECK_THAT(bytes_of(folder / "first.formula"), ContainsSubstring("# candidate   " + id + ", "));
}

TEST_CASE(
    "a bare name is exported by the seed's rule as a formula, by the published one to models, and files say which") {
    const TemporaryFolder folder;
    const std::string where = folder.path.string();
    REQUIRE(shell("evictlab export snapkv --to formula --name mine", where).code == 0);
    CHECK_THAT(bytes_of(folder / "mine.formula"), ContainsSubstring("the formula twin of the scorer snapkv@seed"));
    REQUIRE(shell("evictlab export knorm --to torch --name norms", where).code == 0);
    CHECK_THAT(bytes_of(folder / "norms_scores.py"), ContainsSubstring("the formula twin of the scorer knorm@kvpress"));
}

TEST_CASE("wrong use of export exits with 2 and says what there is") {
    const TemporaryFolder folder;
    const auto refusal = [&](const std::string& arguments) {
        const Outcome outcome = shell("evictlab export " + arguments, folder.path.string());
        CHECK(outcome.code == 2);
        return outcome.err;
    };
    CHECK_THAT(refusal("--to formula"), ContainsSubstring("expected one CHAMPION"));
    CHECK_THAT(refusal("h2o"), ContainsSubstring("add --to formula, --to cpp-plugin, --to kvpress or --to torch"));
    CHECK_THAT(refusal("h2o --to rust"),
               ContainsSubstring("--to is 'rust', but must be formula, cpp-plugin, kvpress or torch"));
    CHECK_THAT(refusal("snapkv@kvpress --to formula"),
               ContainsSubstring("snapkv@kvpress is a plugin's own code, for which it gives no formula") &&
                   ContainsSubstring("snapkv@seed can"));
    CHECK_THAT(refusal("snapkv --to kvpress"), ContainsSubstring("snapkv@kvpress is a plugin's own code"));
    std::string deep = "value_norm";
    for (int i = 0; i < 220; ++i) deep = "tanh(" + deep + ")";
    CHECK_THAT(refusal("'=" + deep + "' --to kvpress --name deep"), ContainsSubstring("nests 220 parentheses"));
    CHECK_THAT(refusal("=recent_atn --to formula"), ContainsSubstring("unknown column 'recent_atn'"));
    CHECK_THAT(refusal("h2o --to formula --name Mine"), ContainsSubstring("must match [a-z][a-z0-9_]*"));
    CHECK_THAT(refusal("h2o --to formula --output mine.txt"), ContainsSubstring("the ending .formula"));
    CHECK_THAT(refusal("=token_type --to kvpress"),
               ContainsSubstring("column 'token_type'") && ContainsSubstring("the text of the tokens"));
    CHECK(std::filesystem::is_empty(folder.path));
}

TEST_CASE("every column has a PyTorch form, or says why not") {
    const auto calibration =
        read_calibration(std::filesystem::path(EVICTLAB_SOURCE_DIR) / "suites/smollm2/calibration.safetensors");
    for (const ColumnInfo& info : columns::all()) {
        INFO(info.name << ": add export/torch/columns/" << info.name << ".py, and to test_export.py");
        std::string name = info.derive ? info.name + ":position" : info.name;
        if (name == "calibrated") name += ":duo_attention";
        const std::string why = exporting::torch_refusal(columns::intern(name));
        CHECK((why.empty() || info.name == "token_type" || info.name == "reconstruction_attn"));
        if (!why.empty()) continue;
        exporting::Champion champion = made(name);
        champion.calibration = calibration;
        CHECK_THAT(exporting::kvpress_press(champion, "0"), ContainsSubstring("def column_" + info.name + "("));
    }
}

TEST_CASE("a column's parameters become arguments") {
    const auto call = [](std::string_view column) { return exporting::torch_call(columns::intern(column)); };
    CHECK(call("window_attn:064:pool=5:max") == "column_window_attn(layer, 64, pool=5, max=True)");
    CHECK(call("expected_attn:mean:sinks=00") == "column_expected_attn(layer, mean=True, sinks=0)");
    CHECK(call("rank:window_max:8") == "column_rank(layer, column_window_max(layer, 8))");
}

TEST_CASE("plugins hold the functions and columns that they need, and constants are computed") {
    const std::string text = exporting::cpp_plugin(made("if(2 > 1, recent_attn/2^3 + -(-key_norm), position)"), "0");
    CHECK_THAT(text, ContainsSubstring("const double score = recent_attn[i] / 8.0 + -(-key_norm[i]);"));
    CHECK_THAT(text, ContainsSubstring("columns{\"recent_attn\", \"key_norm\"}"));
    CHECK(text.find("divide") == std::string::npos);
    CHECK(text.find("head[\"position\"]") == std::string::npos);
}

TEST_CASE("no provenance ends a comment") {
    const exporting::Champion champion = made("key_norm", {"a\nb", "ends in \\", "\"\"\" */"});
    const std::string text = exporting::cpp_plugin(champion, "0");
    CHECK_THAT(text, ContainsSubstring("// a b\n// ends in\n// \"\"\" */\n"));
    CHECK_THAT(exporting::formula_file(champion, "0"),
               ContainsSubstring("# a b\n# ends in\n# \"\"\" */\n# SPDX-License-Identifier: MIT\nkey_norm\n"));
}

TEST_CASE("every file that is exported says its licence once: the formula's own, beside the laboratory's") {
    const TemporaryFolder folder;
    const std::string where = folder.path.string();
    {
        std::ofstream(folder / "mine.formula") << "# mine\n# SPDX-License-Identifier: MPL-2.0 \nkey_norm\n";
        std::ofstream(folder / "plain.formula") << "# nothing said\nkey_norm\n";
    }
    for (const auto& [name, formula, code] :
         {std::tuple("mine", "MPL-2.0", "MIT AND (MPL-2.0)"), std::tuple("plain", "MIT", "MIT")})
        for (const auto& [form, file, expected] :
             {std::tuple("formula", "out.formula", formula), std::tuple("kvpress", "out_press.py", code),
              std::tuple("cpp-plugin", "out/out.cpp", code), std::tuple("cpp-plugin", "out/CMakeLists.txt", "MIT")}) {
            std::filesystem::remove_all(folder / "out");
            const Outcome exported =
                shell(std::string("evictlab export ") + name + ".formula --to " + form + " --name out", where);
            INFO(form << " of " << name << "\n" << exported.err);
            REQUIRE(exported.code == 0);
            const std::string text = bytes_of(folder / file);
            CHECK(after(text, "SPDX-License-Identifier: ") == expected);
            CHECK(text.find("SPDX-License-Identifier", text.find("SPDX-License-Identifier") + 1) == std::string::npos);
        }
}
