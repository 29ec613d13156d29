// Text to formula: a recursive-descent parser. Every level of nesting passes through unary(), which counts the depth.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "base/text/suggestion.hpp"
#include "framework/formula/spelling.hpp"

namespace evictlab::formula {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

std::string list(std::string_view first, std::string_view next) {
    return std::string(first) + (first.empty() ? "" : ", ") + std::string(next);
}

/// " (did you mean 'recent_attn'?)", or "" where no column's name is near.
std::string probably(const std::string& typed) {
    std::vector<std::string> names;
    for (const ColumnInfo& info : columns::all()) names.push_back(info.name);
    const std::string* const meant = text::probably_meant(typed, names);
    return meant ? " (did you mean '" + *meant + "'?)" : "";
}

class Parser {
public:
    Parser(std::string_view text, const Limits& limits) : text_(text), limits_(limits) {}

    std::vector<Node> run() {
        skip_blanks();
        if (at_end()) fail("the formula is empty");
        comparison();
        if (!at_end()) fail_at_leftover();
        return std::move(nodes_);
    }

private:
    [[noreturn]] void fail(const std::string& what) const { fail_at(at_, what); }
    [[noreturn]] void fail_at(std::size_t where, const std::string& what) const {
        throw ParseError(text_, where, what);
    }
    [[noreturn]] void fail_at_leftover() const {
        const std::string_view rest = text_.substr(at_);
        if (rest[0] == ')') fail("this ')' closes nothing");
        if (rest[0] == ',') fail("a ',' outside of a function's parentheses");
        if (rest[0] == '=') fail("'=' is not an operator; to compare write '=='");
        if (rest[0] == ':') fail("a column's parameter must follow its name directly, as in window_attn:64");
        if (is_letter(rest[0]) || is_digit(rest[0]) || rest[0] == '.' || rest[0] == '(') {
            fail("an operator is missing here, such as + - * / ^");
        }
        fail("unexpected " + quoted());
    }

    bool at_end() const { return at_ == text_.size(); }
    char peek() const { return at_end() ? '\0' : text_[at_]; }
    std::string quoted() const {
        const auto byte = static_cast<unsigned char>(text_[at_]);
        if (byte >= 0x20 && byte < 0x7f) return std::string("'") + text_[at_] + "'";
        return "byte " + std::to_string(byte);
    }
    void skip_blanks() {
        while (!at_end()) {
            const char c = text_[at_];
            if (c == '#') {
                at_ = std::min(text_.find('\n', at_), text_.size());
            } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
                ++at_;
            } else {
                return;
            }
        }
    }
    bool accept(std::string_view symbol) {
        if (!text_.substr(at_).starts_with(symbol)) return false;
        at_ += symbol.size();
        skip_blanks();
        return true;
    }
    void emit(Node node) {
        if (nodes_.size() == limits_.nodes) {
            fail("the formula has more than " + std::to_string(limits_.nodes) + " nodes");
        }
        nodes_.push_back(node);
    }

    std::optional<Op> accept_comparison() {
        for (const Spelling& spelling : comparisons) {
            if (accept(spelling.text)) return spelling.op;
        }
        return std::nullopt;
    }
    void comparison() {
        sum();
        if (const auto op = accept_comparison()) {
            sum();
            emit({.op = *op});
            const std::size_t second = at_;
            if (accept_comparison())
                fail_at(second, "comparisons do not chain; use parentheses, or if(a < b, b < c, 0)");
        }
    }
    void sum() {
        product();
        for (;;) {
            const bool plus = accept("+");
            if (!plus && !accept("-")) return;
            product();
            emit({.op = plus ? Op::add : Op::sub});
        }
    }
    void product() {
        unary();
        for (;;) {
            if (text_.substr(at_).starts_with("**")) fail("'**' is not an operator; for a power write '^'");
            const bool times = accept("*");
            if (!times && !accept("/")) return;
            unary();
            emit({.op = times ? Op::mul : Op::div});
        }
    }
    void unary() {
        if (++depth_ > limits_.depth) {
            fail("the formula is nested more than " + std::to_string(limits_.depth) + " levels deep");
        }
        if (!accept("-")) {
            power();
        } else if (is_number()) { // -2 is a constant, but -2^x is -(2^x)
            const double value = number();
            const bool is_base = peek() == '^';
            emit({.op = Op::constant, .value = is_base ? value : -value});
            if (is_base) {
                raise();
                emit({.op = Op::neg});
            }
        } else {
            unary();
            emit({.op = Op::neg});
        }
        --depth_;
    }
    void power() {
        atom();
        raise();
    }
    void raise() {
        if (!accept("^")) return;
        unary();
        emit({.op = Op::pow});
    }
    void atom() {
        if (is_number()) {
            emit({.op = Op::constant, .value = number()});
        } else if (is_letter(peek())) {
            name();
        } else if (peek() == '(') {
            const std::size_t open = at_;
            accept("(");
            comparison();
            close(open);
        } else if (at_end()) {
            fail("a value is missing at the end");
        } else if (peek() == '+') {
            fail("a value is missing before '+' (there is no unary plus)");
        } else {
            fail("a value is missing before " + quoted());
        }
    }
    void close(std::size_t open) {
        if (accept(")")) return;
        if (at_end()) fail_at(open, "this '(' is never closed");
        if (peek() == ',') fail("a ',' outside of a function's parentheses");
        fail_at_leftover();
    }

    bool is_number() const {
        return is_digit(peek()) || (peek() == '.' && at_ + 1 < text_.size() && is_digit(text_[at_ + 1]));
    }
    double number() {
        double value = 0;
        const char* begin = text_.data() + at_;
        const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), value);
        if (error != std::errc() || !std::isfinite(value)) {
            fail("the number " + std::string(begin, std::min<std::size_t>(static_cast<std::size_t>(end - begin), 40)) +
                 " is outside of the range of a double (4.9e-324 to 1.8e308)");
        }
        at_ += static_cast<std::size_t>(end - begin);
        skip_blanks();
        return value;
    }

    /// A name with parameters, as `window_attn:64:pool=5:avg`; "==" ends it.
    std::string_view identifier() {
        const std::size_t begin = at_;
        const auto in_word = [&](std::size_t i) {
            return i < text_.size() && (is_letter(text_[i]) || is_digit(text_[i]));
        };
        while (in_word(at_)) ++at_;
        bool parameters = false;
        while (at_ < text_.size()) {
            const char c = text_[at_];
            const bool joins = (c == ':' || (parameters && (c == '=' || c == '.'))) && in_word(at_ + 1);
            if (!joins && !in_word(at_)) break;
            parameters = true;
            ++at_;
        }
        return text_.substr(begin, at_ - begin);
    }
    void name() {
        const std::size_t begin = at_;
        const std::string_view word = identifier();
        skip_blanks();
        const auto is_word = [&](const Spelling& spelling) { return spelling.text == word; };
        if (const auto* f = std::find_if(functions.begin(), functions.end(), is_word); f != functions.end()) {
            call(*f, begin);
        } else if (const auto* leaf = std::find_if(names.begin(), names.end(), is_word); leaf != names.end()) {
            emit({.op = leaf->op});
        } else if (peek() == '(') {
            std::string known;
            for (const Spelling& each : functions) known = list(known, each.text);
            fail_at(begin, "unknown function '" + std::string(word.substr(0, 80)) + "'; known functions: " + known);
        } else {
            column(word, begin);
        }
    }
    void column(std::string_view word, std::size_t begin) {
        const std::string shown(word.substr(0, 80));
        const std::string_view base = word.substr(0, word.find(':'));
        const auto& all = columns::all();
        if (base == "base_score") {
            fail_at(begin,
                    "the column 'base_score' is for wrapper plugins: a formula is not put around another scorer");
        }
        if (std::none_of(all.begin(), all.end(), [&](const ColumnInfo& info) { return info.name == base; })) {
            fail_at(begin,
                    "unknown column '" + shown + "'" + probably(shown) + "; known columns: " + columns::known_names());
        }
        try {
            emit({.op = Op::column, .column = columns::intern(word)});
        } catch (const ParseError&) {
            throw;
        } catch (const UsageError& error) {
            fail_at(begin, error.what());
        }
    }
    void call(const Spelling& function, std::size_t begin) {
        const std::size_t open = at_;
        const bool folds = function.op == Op::min || function.op == Op::max;
        const std::size_t wanted = arity(function.op);
        const std::string usage = std::string(function.text) + (folds         ? "(a, b, ...)"
                                                                : wanted == 3 ? "(condition, a, b)"
                                                                              : "(a)");
        if (!accept("(")) fail_at(begin, "'" + std::string(function.text) + "' is a function; write " + usage);
        std::size_t given = 0;
        do {
            comparison();
            ++given;
            if (folds && given >= 2) emit({.op = function.op});
        } while (accept(","));
        close(open);
        if (given < wanted || (given > wanted && !folds)) {
            fail_at(begin, usage + " takes " + std::to_string(wanted) + (folds ? " or more" : "") +
                               (wanted == 1 ? " argument, not " : " arguments, not ") + std::to_string(given));
        }
        if (!folds) emit({.op = function.op});
    }

    std::string_view text_;
    const Limits& limits_;
    std::size_t at_ = 0;
    std::size_t depth_ = 0;
    std::vector<Node> nodes_;
};

} // namespace

Formula parse(std::string_view text, const Limits& limits) { return Formula(Parser(text, limits).run()); }

} // namespace evictlab::formula
