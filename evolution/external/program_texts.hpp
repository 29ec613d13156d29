// The texts of formulas by their compiled programs: a FitnessJob has the program alone, and another process that is to
// measure it needs the text. SPDX-License-Identifier: MIT
#pragma once
#include <string>

#include "framework/formula/program.hpp"

namespace evictlab::evolution {

/// Known from the first job of a genome on, for as long as the genome lives. Safe from several threads. Throws Error
/// for a program that no genome compiled.
std::string text_of(const formula::Program& program);

/// For genomes: `text` is what `program` was compiled from, and prints as.
void remember_text(const formula::Program& program, const std::string& text);
void forget_text(const formula::Program& program);

} // namespace evictlab::evolution
