// The loops of the hot path. No branches and no calls within them, so that they are vectorised.
// SPDX-License-Identifier: MIT
#include "framework/formula/kernels.hpp"

#include <cmath>

#include "base/numeric/vector_math.hpp"

namespace evictlab::formula {
namespace {

namespace vm = vector_math;

// Each operator as a type, so that it becomes part of the loop that applies it.
#define EVICTLAB_OPERATOR(name, parameters, expression)                                                                \
    struct name {                                                                                                      \
        EVICTLAB_INLINE static double of parameters { return expression; }                                             \
    };
EVICTLAB_OPERATOR(Copy, (double a), a)
EVICTLAB_OPERATOR(Negate, (double a), -a)
EVICTLAB_OPERATOR(Exp, (double a), vm::exp(a))
EVICTLAB_OPERATOR(Log, (double a), vm::log(a))
EVICTLAB_OPERATOR(Sqrt, (double a), a < 0 ? 0.0 : std::sqrt(a))
EVICTLAB_OPERATOR(Abs, (double a), std::fabs(a))
EVICTLAB_OPERATOR(Tanh, (double a), vm::tanh(a))
EVICTLAB_OPERATOR(Square, (double a), a* a)
EVICTLAB_OPERATOR(Cube, (double a), a* a* a)
EVICTLAB_OPERATOR(RootOfSize, (double a), std::sqrt(std::fabs(a)))
EVICTLAB_OPERATOR(Inverse, (double a), a == 0 ? 0.0 : 1 / a)
EVICTLAB_OPERATOR(Add, (double a, double b), a + b)
EVICTLAB_OPERATOR(Subtract, (double a, double b), a - b)
EVICTLAB_OPERATOR(Multiply, (double a, double b), a* b)
EVICTLAB_OPERATOR(Divide, (double a, double b), b == 0 ? 0.0 : a / b)
EVICTLAB_OPERATOR(Min, (double a, double b), ((a < b) | (a != a)) ? a : b)
EVICTLAB_OPERATOR(Max, (double a, double b), ((a > b) | (a != a)) ? a : b)
EVICTLAB_OPERATOR(Less, (double a, double b), a < b ? 1.0 : 0.0)
EVICTLAB_OPERATOR(LessEqual, (double a, double b), a <= b ? 1.0 : 0.0)
EVICTLAB_OPERATOR(Equal, (double a, double b), a == b ? 1.0 : 0.0)
EVICTLAB_OPERATOR(PowerOfSize, (double a, double b), vm::power_of_size(a, b))
EVICTLAB_OPERATOR(PowerOfSizeAbove, (double a, double b), vm::power_of_size_above(a, b))
EVICTLAB_OPERATOR(PowerOdd, (double a, double b), std::copysign(1.0, a) * vm::power_of_size(a, b))
EVICTLAB_OPERATOR(Select, (double a, double b, double c), a != 0 ? b : c)
#undef EVICTLAB_OPERATOR

struct PowerAny {
    EVICTLAB_INLINE static double of(double a, double b) {
        const double size = vm::power_of_size(a, b);
        const bool is_odd = (std::trunc(b) == b) & (std::trunc(b * 0.5) != b * 0.5);
        return ((a < 0) & is_odd) ? -size : size;
    }
};

struct Values {
    const double* data;
    EVICTLAB_INLINE double operator[](std::size_t i) const { return data[i]; }
};
struct Value {
    double value;
    EVICTLAB_INLINE double operator[](std::size_t) const { return value; }
};

#if defined(__clang__)
#define EVICTLAB_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define EVICTLAB_INDEPENDENT _Pragma("GCC ivdep")
#endif

template <class Operator, class... Operands>
EVICTLAB_INLINE void loop(double* out, std::size_t n, Operands... operands) {
    n &= ~std::size_t(7); // it is; the compiler need not make a tail
    EVICTLAB_INDEPENDENT
    for (std::size_t i = 0; i < n; ++i) out[i] = Operator::of(operands[i]...);
}

struct Place { ///< of one step in one block
    double* out;
    const double* a;
    const double* b;
    const double* c;
};

template <class Operator>
EVICTLAB_INLINE void unary(const Place& at, std::size_t n) {
    loop<Operator>(at.out, n, Values{at.a});
}
template <class Operator>
EVICTLAB_INLINE void binary(const Step& step, const Place& at, std::size_t n) {
    if (step.a.uniform)
        loop<Operator>(at.out, n, Value{*at.a}, Values{at.b});
    else if (step.b.uniform)
        loop<Operator>(at.out, n, Values{at.a}, Value{*at.b});
    else
        loop<Operator>(at.out, n, Values{at.a}, Values{at.b});
}
EVICTLAB_INLINE void select(const Step& step, const Place& at, std::size_t n) { // the condition varies
    if (step.b.uniform && step.c.uniform)
        loop<Select>(at.out, n, Values{at.a}, Value{*at.b}, Value{*at.c});
    else if (step.b.uniform)
        loop<Select>(at.out, n, Values{at.a}, Value{*at.b}, Values{at.c});
    else if (step.c.uniform)
        loop<Select>(at.out, n, Values{at.a}, Values{at.b}, Value{*at.c});
    else
        loop<Select>(at.out, n, Values{at.a}, Values{at.b}, Values{at.c});
}
/// The exponent is written out first: conditions on a value that is the same throughout a loop keep it from being
/// vectorised.
template <class Operator>
EVICTLAB_INLINE void power_by_one(const Place& at, std::size_t n) {
    loop<Copy>(at.out, n, Value{*at.b});
    loop<Operator>(at.out, n, Values{at.a}, Values{at.out});
}
EVICTLAB_INLINE void power(const Step& step, const Place& at, std::size_t n) {
    switch (step.power) {
    case Power::one:
        return unary<Copy>(at, n);
    case Power::two:
        return unary<Square>(at, n);
    case Power::three:
        return unary<Cube>(at, n);
    case Power::half:
        return unary<RootOfSize>(at, n);
    case Power::minus_one:
        return unary<Inverse>(at, n);
    case Power::fraction:
    case Power::even:
        if (*at.b > 0 && *at.b < 0x1p70) return power_by_one<PowerOfSizeAbove>(at, n);
        return power_by_one<PowerOfSize>(at, n);
    case Power::odd:
        return power_by_one<PowerOdd>(at, n);
    case Power::any:
        break;
    }
    const double* bases = at.a;
    if (step.a.uniform) {
        loop<Copy>(at.out, n, Value{*at.a});
        bases = at.out;
    }
    loop<PowerAny>(at.out, n, Values{bases}, Values{at.b});
}

EVICTLAB_INLINE void run_step(const Step& step, const Place& at, std::size_t n) {
    switch (step.op) {
    case Op::constant:
    case Op::keep:
    case Op::drop:
    case Op::column:
        if (step.a.uniform)
            loop<Copy>(at.out, n, Value{*at.a});
        else
            unary<Copy>(at, n);
        return;
    case Op::neg:
        return unary<Negate>(at, n);
    case Op::exp:
        return unary<Exp>(at, n);
    case Op::log:
        return unary<Log>(at, n);
    case Op::sqrt:
        return unary<Sqrt>(at, n);
    case Op::abs:
        return unary<Abs>(at, n);
    case Op::tanh:
        return unary<Tanh>(at, n);
    case Op::add:
        return binary<Add>(step, at, n);
    case Op::sub:
        return binary<Subtract>(step, at, n);
    case Op::mul:
        return binary<Multiply>(step, at, n);
    case Op::div:
        return binary<Divide>(step, at, n);
    case Op::pow:
        return power(step, at, n);
    case Op::min:
        return binary<Min>(step, at, n);
    case Op::max:
        return binary<Max>(step, at, n);
    case Op::gt: // compiled as lt and le with operands exchanged
    case Op::lt:
        return binary<Less>(step, at, n);
    case Op::ge:
    case Op::le:
        return binary<LessEqual>(step, at, n);
    case Op::eq:
        return binary<Equal>(step, at, n);
    case Op::select:
        return select(step, at, n);
    }
}

EVICTLAB_INLINE const double* at_block(const Operand& operand, std::size_t begin) {
    return operand.data + (operand.advances ? begin : 0);
}

} // namespace

Power power_for(double exponent) {
    if (exponent == 1) return Power::one;
    if (exponent == 2) return Power::two;
    if (exponent == 3) return Power::three;
    if (exponent == 0.5) return Power::half;
    if (exponent == -1) return Power::minus_one;
    if (std::trunc(exponent) != exponent) return Power::fraction;
    return std::trunc(exponent * 0.5) == exponent * 0.5 ? Power::even : Power::odd;
}

namespace {
double power(double a, double b) { // as power() of a step does it
    switch (power_for(b)) {
    case Power::one:
        return Copy::of(a);
    case Power::two:
        return Square::of(a);
    case Power::three:
        return Cube::of(a);
    case Power::half:
        return RootOfSize::of(a);
    case Power::minus_one:
        return Inverse::of(a);
    case Power::fraction:
    case Power::even:
        return PowerOfSize::of(a, b);
    case Power::odd:
        return PowerOdd::of(a, b);
    case Power::any:
        break;
    }
    return PowerAny::of(a, b);
}
} // namespace

EVICTLAB_CLONES void run_block(const Step* first, const Step* last, std::size_t begin, std::size_t n, double* result) {
    result += begin;
    for (const Step* step = first; step != last; ++step) {
        const Place at{step->into_result ? result : step->out, at_block(step->a, begin), at_block(step->b, begin),
                       at_block(step->c, begin)};
        run_step(*step, at, n);
    }
    n &= ~std::size_t(7);
    for (std::size_t i = 0; i < n; ++i) result[i] = result[i] == result[i] ? result[i] : -vm::infinity;
}

double compute(Op op, double a, double b, double c) {
    switch (op) {
    case Op::constant:
    case Op::column:
        return a;
    case Op::keep:
        return vm::infinity;
    case Op::drop:
        return -vm::infinity;
    case Op::neg:
        return Negate::of(a);
    case Op::exp:
        return Exp::of(a);
    case Op::log:
        return Log::of(a);
    case Op::sqrt:
        return Sqrt::of(a);
    case Op::abs:
        return Abs::of(a);
    case Op::tanh:
        return Tanh::of(a);
    case Op::add:
        return Add::of(a, b);
    case Op::sub:
        return Subtract::of(a, b);
    case Op::mul:
        return Multiply::of(a, b);
    case Op::div:
        return Divide::of(a, b);
    case Op::pow:
        return power(a, b);
    case Op::min:
        return Min::of(a, b);
    case Op::max:
        return Max::of(a, b);
    case Op::lt:
        return Less::of(a, b);
    case Op::le:
        return LessEqual::of(a, b);
    case Op::gt:
        return Less::of(b, a);
    case Op::ge:
        return LessEqual::of(b, a);
    case Op::eq:
        return Equal::of(a, b);
    case Op::select:
        return Select::of(a, b, c);
    }
    return a;
}

} // namespace evictlab::formula
