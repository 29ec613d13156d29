// From postfix nodes to instructions over registers, and from those to the steps of one batch.
// SPDX-License-Identifier: MIT
#include "framework/formula/program.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <new>

#include "framework/formula/kernels.hpp"

namespace evictlab::formula {
namespace {

/// Tokens a block: registers of 2 KiB, of which a formula has about half a dozen at once.
constexpr std::size_t block_tokens = 256;

/// Values are numbered: the constants, then the columns, then the results of the instructions.
using ValueId = std::uint32_t;

struct Instruction {
    Op op = Op::constant;
    std::array<ValueId, 3> operands{};
    std::uint32_t where = 0; ///< the register for the result
};

bool same_computation(const Instruction& a, const Instruction& b) { return a.op == b.op && a.operands == b.operands; }

} // namespace

struct Program::Code {
    std::size_t inputs = 0; ///< constants and columns
    std::vector<Instruction> instructions;
    std::size_t registers = 0;
    ValueId root = 0;

    ValueId share(Instruction instruction);
    void assign_registers();
};

ValueId Program::Code::share(Instruction wanted) {
    const auto same = [&](const Instruction& each) { return same_computation(each, wanted); };
    const auto at = std::find_if(instructions.begin(), instructions.end(), same);
    const auto index = static_cast<std::size_t>(at - instructions.begin());
    if (at == instructions.end()) instructions.push_back(wanted);
    return static_cast<ValueId>(inputs + index);
}

/// A register is free again after the last instruction that reads it; an instruction never writes where it reads.
void Program::Code::assign_registers() {
    std::vector<std::size_t> last_use(instructions.size(), instructions.size());
    for (std::size_t i = 0; i < instructions.size(); ++i) {
        for (std::size_t k = 0; k < arity(instructions[i].op); ++k) {
            const ValueId operand = instructions[i].operands[k];
            if (operand >= inputs) last_use[operand - inputs] = i;
        }
    }
    std::vector<std::uint32_t> free;
    for (std::size_t i = 0; i < instructions.size(); ++i) {
        if (free.empty()) free.push_back(static_cast<std::uint32_t>(registers++));
        instructions[i].where = free.back();
        free.pop_back();
        for (std::size_t k = 0; k < arity(instructions[i].op); ++k) {
            const ValueId operand = instructions[i].operands[k];
            if (operand < inputs || last_use[operand - inputs] != i) continue;
            last_use[operand - inputs] = instructions.size(); // an operand may be there twice
            free.push_back(instructions[operand - inputs].where);
        }
    }
}

Program::Program(const Formula& formula) : columns_(formula.columns()), constants_(formula.constants()) {
    if (formula.empty()) throw Error("formula: an empty formula cannot be compiled");
    auto code = std::make_shared<Code>();
    code->inputs = constants_.size() + columns_.size();
    std::vector<ValueId> stack;
    ValueId next_constant = 0;
    for (const Node& node : formula.nodes()) {
        if (node.op == Op::constant) { // each keeps its own slot, as tuning may part equal ones
            stack.push_back(next_constant++);
            continue;
        }
        if (node.op == Op::column) {
            const auto at = std::lower_bound(columns_.begin(), columns_.end(), node.column) - columns_.begin();
            stack.push_back(static_cast<ValueId>(constants_.size() + static_cast<std::size_t>(at)));
            continue;
        }
        Instruction instruction{.op = node.op};
        for (std::size_t k = arity(node.op); k > 0; --k) {
            instruction.operands[k - 1] = stack.back();
            stack.pop_back();
        }
        auto& [a, b, c] = instruction.operands;
        const bool commutes = node.op == Op::add || node.op == Op::mul || node.op == Op::eq;
        const bool exchanges = node.op == Op::gt || node.op == Op::ge; // a > b is b < a
        if (exchanges) instruction.op = node.op == Op::gt ? Op::lt : Op::le;
        if (exchanges || (commutes && b < a)) std::swap(a, b);
        stack.push_back(code->share(instruction));
    }
    code->root = stack.back();
    code->assign_registers();
    code_ = std::move(code);
}

void* Workspace::reserve(std::size_t bytes) {
    const std::size_t lines = (bytes + sizeof(Line) - 1) / sizeof(Line);
    if (memory_.size() < lines) memory_.resize(lines);
    return memory_.data();
}

void Program::evaluate(std::span<const ColumnView> columns, std::span<const double> constants, std::size_t n,
                       double* out, Workspace& workspace) const {
    if (columns.size() != columns_.size() || constants.size() != constants_.size()) {
        throw Error("formula: evaluated with " + std::to_string(columns.size()) + " columns and " +
                    std::to_string(constants.size()) + " constants; it has " + std::to_string(columns_.size()) +
                    " and " + std::to_string(constants_.size()));
    }
    const Code& code = *code_;
    const std::size_t count = code.instructions.size();
    const std::size_t tokens = padded(n);
    const std::size_t stride = std::min(tokens, block_tokens);

    // The workspace: registers, results that are uniform, where each value lies, and the steps.
    const std::size_t numbers = code.registers * stride + count;
    void* memory = workspace.reserve(numbers * sizeof(double) + (code.inputs + count) * sizeof(Operand) +
                                     (count + 1) * sizeof(Step));
    auto* registers = new (memory) double[numbers];
    double* uniform = registers + code.registers * stride;
    auto* values = reinterpret_cast<Operand*>(registers + numbers);
    auto* steps = reinterpret_cast<Step*>(values + code.inputs + count);

    Operand* value = values;
    for (const double& constant : constants) new (value++) Operand{&constant, true, false};
    for (const ColumnView& view : columns) new (value++) Operand{view.data, view.uniform, !view.uniform};
    Step* end = steps;
    for (std::size_t i = 0; i < count; ++i, ++value) {
        const Instruction& instruction = code.instructions[i];
        const std::size_t operands = arity(instruction.op);
        static constexpr double nothing = 0;
        const Operand none{&nothing, true, false};
        Step step{.op = instruction.op, .a = none, .b = none, .c = none};
        if (operands > 0) step.a = values[instruction.operands[0]];
        if (operands > 1) step.b = values[instruction.operands[1]];
        if (operands > 2) step.c = values[instruction.operands[2]];
        if (step.a.uniform && step.b.uniform && step.c.uniform) {
            uniform[i] = compute(step.op, *step.a.data, *step.b.data, *step.c.data);
            new (value) Operand{uniform + i, true, false};
            continue;
        }
        if (step.op == Op::pow && step.b.uniform) step.power = power_for(*step.b.data);
        if (step.op == Op::select && step.a.uniform) {
            step.op = Op::column;
            step.a = *step.a.data != 0 ? step.b : step.c;
        }
        step.out = registers + instruction.where * stride;
        new (value) Operand{step.out, false, false};
        new (end++) Step(step);
    }
    if (values[code.root].uniform || code.root < code.inputs) new (end++) Step{.a = values[code.root]};
    end[-1].into_result = true;

    for (std::size_t begin = 0; begin < tokens; begin += block_tokens) {
        run_block(steps, end, begin, std::min(block_tokens, tokens - begin), out);
    }
}

} // namespace evictlab::formula
