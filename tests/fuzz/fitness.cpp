// Fuzz target: protocol evictlab-fitness/1. The lines of the input are requests to a worker that holds parts of two
// small suites, and each is taken for a line of a worker's answer, too. "@0" and "@1" stand for the suites' hashes.
// SPDX-License-Identifier: MIT
#include <tbb/global_control.h>

#include "base/error.hpp"
#include "evolution/external/fitness_server.hpp"
#include "framework/capture/captured_suite.hpp"
#include "framework/capture/suites.hpp"
#include "tests/fuzz/target.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/trace_writer.hpp"

using namespace evictlab;
using namespace evictlab::evolution;

namespace {

const std::vector<Suite>& suites() {
    static const test::TemporaryFolder folder;
    static const std::vector<Suite> both = [] {
        SuiteOptions options;
        options.patterns = options.num_layers = 1;
        options.seq_len = 12;
        std::vector<test::TraceShape> shapes;
        for (const char* split : {"train", "train", "valid", "test"}) {
            test::TraceShape shape;
            shape.split = split;
            shape.seed = static_cast<std::uint32_t>(shapes.size() + 1);
            shape.document = std::to_string(shape.seed);
            shape.prompt = 8 + 2 * shapes.size();
            shape.tokens = shape.prompt + 4;
            shape.probes = 2;
            shapes.push_back(shape);
        }
        write_suite(folder.path, shapes);
        return std::vector<Suite>{make_suite("micro", options), open_captured_suite(folder.path)};
    }();
    return both;
}

std::string with_hashes(std::string text) {
    for (std::size_t suite = 0; suite < suites().size(); ++suite) {
        const std::string sign = "@" + std::to_string(suite);
        for (std::size_t at = 0; (at = text.find(sign, at)) != std::string::npos;)
            text.replace(at, sign.size(), suites()[suite].hash());
    }
    return text;
}

/// The worker's own answers are read by the other side as what they were.
void check_answer(const Json& answer) {
    const std::string line = answer.dump();
    static const std::string name = "the answer";
    const Json read = parse_json(line, name);
    if (const auto error = answer.find("error"); error != answer.end())
        return fuzz::check_message(Error(error->get<std::string>()));
    if (read.contains("errors"))
        fuzz::require(figures_json(figures_from(read.at("errors"))) == answer.at("errors"), "figures keep their bits");
    if (!read.contains("layout")) return;
    for (const JsonField& suite : JsonField(read, name).member("layout").elements())
        for (const char* split : {"train", "valid"}) {
            const JsonField field = suite.member(split);
            const std::size_t documents = field.member("units").elements().size();
            const Json again = to_json(unit_layout_from(field, documents));
            fuzz::require(again.at("units").size() == documents, "a layout is of all documents");
            fuzz::require(to_json(unit_layout_from(JsonField(again, name), documents)) == again,
                          "a layout is read as the same");
        }
}

/// As a search reads it; what is no such line is the worker's failure, whose message is for people.
void read_as_an_answer(std::string_view line) {
    static const std::string name = "the answer";
    try {
        const Json answer = parse_json(line, name);
        const JsonField field(answer, name);
        if (const auto layout = field.optional_member("layout"))
            for (const JsonField& suite : layout->elements()) unit_layout_from(suite.member("train"), 3);
        if (const auto errors = field.optional_member("errors")) figures_from(answer.at("errors"));
    } catch (const Error& error) {
        fuzz::check_message(error);
    } catch (const Json::exception&) { // which FitnessWorker tells
    }
}

} // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const tbb::global_control one_thread(tbb::global_control::max_allowed_parallelism, 1);
    const std::string text = with_hashes(std::string(fuzz::text_of(data, size)));
    FitnessServer server(suites(), "1.2.3", check_answer);
    for (std::string_view rest = text; !rest.empty();) {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(rest.size(), line.size() + 1));
        server.take(line);
        read_as_an_answer(line);
    }
    return 0;
}
