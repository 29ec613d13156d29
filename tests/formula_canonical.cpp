// Canonical forms: equal formulas meet, others stay apart, and scores are the same to rounding.
// SPDX-License-Identifier: MIT
#include "framework/formula/program.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/random_formula.hpp"

using namespace evictlab;
using namespace evictlab::formula;

namespace {

std::string canon(std::string_view text) { return print(canonical(parse(text))); }
std::string hash(std::string_view text) { return canonical_hash(parse(text)); }

/// The same formula told in another way: operands commuted, sums and products re-associated, neutral elements added.
class Retelling {
public:
    explicit Retelling(std::uint64_t seed) : random_(seed) {}
    std::vector<Node> operator()(const Formula& formula) { return tell(formula, formula.size() - 1); }

private:
    using Nodes = std::vector<Node>;
    static Nodes join(std::initializer_list<Nodes> parts, Op op) {
        Nodes all;
        for (const Nodes& part : parts) all.insert(all.end(), part.begin(), part.end());
        all.push_back({.op = op});
        return all;
    }
    static Nodes number(double value) { return {{.op = Op::constant, .value = value}}; }

    Nodes tell(const Formula& formula, std::size_t root) {
        Nodes told = tell_operator(formula, root);
        switch (random_.below(12)) {
        case 0:
            return join({told, number(0)}, Op::add);
        case 1:
            return join({number(1), told}, Op::mul);
        case 2:
            return join({join({told}, Op::neg)}, Op::neg);
        case 3:
            return join({told, number(0)}, Op::sub);
        default:
            return told;
        }
    }
    Nodes tell_operator(const Formula& formula, std::size_t root) {
        const Op op = formula.nodes()[root].op;
        if (arity(op) == 0) return {formula.nodes()[root]};
        std::vector<std::size_t> roots;
        for (std::size_t end = root, k = arity(op); k > 0; --k) {
            roots.insert(roots.begin(), end - 1);
            end = formula.subtree_begin(end - 1);
        }
        std::vector<Nodes> told;
        for (const std::size_t each : roots) told.push_back(tell(formula, each));
        if (arity(op) == 1) return join({told[0]}, op);
        if (arity(op) == 3) return join({told[0], told[1], told[2]}, op);
        const bool swaps = random_.below(2) == 0;
        if (op == Op::lt && swaps) return join({told[1], told[0]}, Op::gt);
        if (op == Op::ge && swaps) return join({told[1], told[0]}, Op::le);
        if (op == Op::sub && swaps) return join({join({told[1]}, Op::neg), told[0]}, Op::add);
        const bool commutes = op == Op::add || op == Op::mul || op == Op::min || op == Op::max || op == Op::eq;
        if (!commutes || !swaps) return join({told[0], told[1]}, op);
        const Node& left = formula.nodes()[roots[0]];
        if (op != Op::eq && left.op == op) { // (x . y) . z is x . (y . z)
            const std::size_t y = roots[0] - 1;
            return join({tell(formula, formula.subtree_begin(y) - 1), join({tell(formula, y), told[1]}, op)}, op);
        }
        return join({told[1], told[0]}, op);
    }
    testing::RandomFormulas random_;
};

} // namespace

TEST_CASE("equal formulas have one canonical form") {
    CHECK(canon("position + 2*3") == "position + 6");
    CHECK(canon("2*position*3") == "6*position");
    CHECK(canon("key_norm + position") == canon("position + key_norm"));
    CHECK(canon("(key_norm + position) + is_sink") == canon("key_norm + (is_sink + position)"));
    CHECK(canon("position - 3") == canon("-3 + position"));
    CHECK(canon("--position*1 + 0") == "position");
    CHECK(canon("position - (key_norm - is_sink)") == canon("position + is_sink - key_norm"));
    CHECK(canon("-2*position*key_norm") == canon("key_norm*-(2*position)"));
    CHECK(canon("1 - relative_pos/128") == "1 - relative_pos/128");
    CHECK(canon("min(position, 3, min(2, key_norm))") == canon("min(2, min(key_norm, position))"));
    CHECK(canon("max(key_norm, key_norm)") == "key_norm");
    CHECK(canon("position > 3") == canon("3 < position"));
    CHECK(canon("position == 3") == canon("3 == position"));
    CHECK(canon("if(2 > 1, position, key_norm)") == "position");
    CHECK(canon("position^1/1") == "position");
    CHECK(canon("exp(2000)") == "keep");
    CHECK(hash("0.4*position + 0.6*key_norm") == hash("0.6*key_norm + position*0.4"));
    CHECK(hash("position").size() == 16);
}

TEST_CASE("different formulas keep different forms") {
    CHECK(hash("position - key_norm") != hash("key_norm - position"));
    CHECK(hash("position/key_norm") != hash("key_norm/position"));
    CHECK(hash("position^2") != hash("2^position"));
    CHECK(hash("0.1*position") != hash("0.10000000000000002*position"));
    CHECK(hash("min(position, key_norm)") != hash("max(position, key_norm)"));
    CHECK(hash("position < 3") != hash("position <= 3"));
    CHECK(hash("is_sink*0") != hash("is_sink*1"));
    CHECK(hash("keep - keep") != hash("keep"));
}

TEST_CASE("hashes are the same on every machine and in every version") {
    CHECK(canon("0.6*recent_attn + 0.4*cumulative_attn*((position+1)/sequence_len)^0.3 + 0.2*max(0, 1 - "
                "relative_pos/128)") == "0.6*recent_attn + 0.2*max(1 - relative_pos/128, 0) + "
                                        "0.4*cumulative_attn*((position + 1)/sequence_len)^0.3");
}

TEST_CASE("constants that do not fold to a full number stay") {
    CHECK(canon("1e308 + position + 1e308") == canon("1e308 + 1e308 + position"));
    CHECK(canon("1e-200*position*1e-200") == "1e-200*1e-200*position");
}

TEST_CASE("the canonical form is its own, and retold formulas meet in it") {
    testing::RandomFormulas random(11);
    Retelling retold(12);
    for (int i = 0; i < 50000; ++i) {
        const Formula formula = random.next(24);
        const Formula one = canonical(formula);
        if (!(canonical(one) == one)) {
            FAIL(print(formula) << "\nfirst  " << print(one) << "\nsecond " << print(canonical(one)));
        }
        if (!(parse(print(one)) == one)) FAIL(print(one));
        const Formula other(retold(formula));
        if (canonical_hash(other) != canonical_hash(formula)) {
            FAIL(print(formula) << "\nretold " << print(other) << "\none    " << print(one) << "\nother  "
                                << print(canonical(other)));
        }
    }
}
