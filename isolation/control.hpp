// What a host and a worker say to each other, in pieces of shared memory:
//   control  written by both: whose turn it is, which phase the worker is in, what it answers. A plugin can write here,
//            so the host copies and checks what it reads and believes nothing
//   input    written by the host alone (sealed; the worker maps it read-only): a Request, and behind it values or
//            batches as packed_batch.hpp lays them out
//   rows     columns that several workers read, likewise sealed: one for all workers of a pool (row_memory.hpp)
//   output   scores and budgets, at the places that the request names
//   watch    written by the worker's supervisor, which runs none of the plugin's code; a plugin's process never maps it
// One request at a time: the host raises `asked`, the worker answers and sets `answered` to it.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <cstdint>

#include "isolation/futex.hpp"
#include "isolation/limits.hpp"

namespace evictlab::isolation {

/// The descriptors that a worker begins with, beside 0 (/dev/null) and 1 and 2 (what it says).
enum WorkerDescriptor : int {
    control_descriptor = 3,
    input_descriptor = 4,
    output_descriptor = 5,
    rows_descriptor = 6,
    watch_descriptor = 7,
    library_descriptor = 8, ///< sealed; none where the worker is to run no plugin
    folder_descriptor = 9,  ///< SealedLibrary::folder(), where it has one
    first_other = 10
};

enum class Command : std::uint32_t {
    load,          ///< text: what the library's file is called. Answers with the descriptors as JSON in `text`
    create,        ///< values: those of the rule's parameters
    score,         ///< batches
    layer_budget,  ///< an evl_budget_query; the answer is in `number`
    head_budgets,  ///< a batch with scores; the answers lie in the output, uint64 [heads]
    layer_facts,   ///< likewise; double [Plugin::model_facts()]
    model_budgets, ///< a model (packed_model.hpp); the answers lie at the beginning of the output, uint64 [all heads]
    model_scores,  ///< likewise; double [all heads][tokens], layer by layer
    destroy,
    check, ///< text: the name of a test of conformance/, a line break, the file's name. Answers with the verdict in
           ///< `number` and what was seen in `text`
};

/// How a worker scores the first batch of a request; the others it scores once, and looks at what lies next to them.
enum class FirstBatch : std::uint32_t {
    once,    ///< like the others
    closely, ///< between guards, each score marked before
    twice,   ///< and once more, to be compared
    again,   ///< closely, compared with the scores that lie in the output
};

inline constexpr std::size_t request_size = 64; ///< bytes before what follows
struct Request {
    Command command = Command::load;
    std::uint32_t rule = 0;  ///< of create
    std::uint64_t count = 0; ///< batches, values or bytes of text, which begin behind the request
    FirstBatch first = FirstBatch::closely;
    std::uint64_t begin = request_size; ///< of score: the place of the first batch
};
static_assert(sizeof(Request) <= request_size);

enum class Outcome : std::uint32_t { done, failed };

/// What a worker found out about its own death, before it died.
enum class Crash : std::uint32_t {
    none,
    null_pointer,
    stack_overflow,
    behind_scores,
    before_scores,
    into_input,
    undeclared_column,
    past_columns,
    out_of_memory,
    forbidden_call,
};

struct Control {
    Limits limits;           ///< set by the host before the worker begins
    std::uint64_t rows_size; ///< likewise: bytes of the rows at most
    FutexWord up;            ///< 1 once the worker is ready to be asked, before it has any of the plugin's code
    FutexWord asked, answered;
    std::atomic<std::uint32_t> calls; ///< of check: into the plugin, begun: a new one has all the time again
    std::atomic<Crash> crash;
    Outcome outcome;
    std::uint64_t number;
    std::uint32_t system_call;              ///< of Crash::forbidden_call
    char plugin[1024], at[16], cause[4096]; ///< of a failure: whose, in which phase, why; NUL-terminated
    std::uint64_t text_size;
    char text[1]; ///< to the end of the memory
};

/// What the host believes of a worker.
struct Watch {
    std::atomic<std::int32_t> plugin;  ///< the number of the process that runs the plugin, once there is one
    std::atomic<std::uint32_t> layers; ///< that hold it (layers.hpp), from the end of its first load on
    char forbidden_call[32];           ///< the name of the system call that it died of; NUL-terminated
};

inline constexpr std::size_t control_memory = std::size_t{1} << 20;
inline constexpr std::size_t watch_memory = 4096;
inline constexpr std::size_t input_memory = std::size_t{16} << 30; // at most; of these two and of the rows there is as
inline constexpr std::size_t output_memory = std::size_t{2} << 30; // much as the host has written or asked for
inline constexpr std::size_t text_room = control_memory - offsetof(Control, text);

} // namespace evictlab::isolation
