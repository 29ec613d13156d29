// SPDX-License-Identifier: MIT
#include "evolution/variation/operator.hpp"

namespace evictlab::evolution {

const std::vector<Operator>& operators() {
    static const std::vector<Operator> all = [] {
        std::vector<Operator> list;
        for (const auto group :
             {structural_operators(), constant_operators(), seed_strategies(), domain_strategies(), alike_operators()})
            list.insert(list.end(), group.begin(), group.end());
        return list;
    }();
    return all;
}

} // namespace evictlab::evolution
