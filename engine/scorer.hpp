// Scorers of libevictlab, with its failures as exceptions. SPDX-License-Identifier: MIT
#pragma once
#include <evictlab/evictlab.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "framework/cut/shaped_cut.hpp"

namespace evictlab::engine {

class Lab {
public:
    explicit Lab(std::span<const std::filesystem::path> plugin_folders);
    evl_lab* get() const { return lab_.get(); }
    std::vector<std::string> split(const std::string& list) const;
    std::vector<std::string> problems() const;               ///< plugins that cannot be used, and why
    void calibrate(const std::filesystem::path& file) const; ///< for scorers that are opened from then on

private:
    struct Close {
        void operator()(evl_lab* lab) const { evl_lab_close(lab); }
    };
    std::unique_ptr<evl_lab, Close> lab_;
};

/// Columns of one layer, kept from call to call. May be used by several threads at once.
class Memory {
public:
    Memory();
    evl_memory* get() const { return memory_.get(); }

private:
    struct Close {
        void operator()(evl_memory* memory) const { evl_memory_close(memory); }
    };
    std::unique_ptr<evl_memory, Close> memory_;
};

/// May be asked by several threads at once.
class Scorer {
public:
    /// A name without a preset is the published rule's, as for benches. UsageError for what libevictlab does not know.
    Scorer(const Lab& lab, const std::string& text);
    /// One that somebody else opened, and keeps open for as long as this is.
    explicit Scorer(const evl_scorer* scorer);

    const std::string& text() const { return text_; }
    std::string hash() const { return evl_scorer_hash(scorer_); }
    const evl_needs& needs() const { return needs_; }
    /// How it sees a cache of which some tokens are gone already.
    enum class Gaps : std::uint8_t {
        positions, ///< the text's positions, with its latest queries over what is cached
        places,    ///< as if cached tokens were all there ever were, 0, 1, 2, ... with the queries that they had
        refused,
    };
    /// `alike`: the heads of a layer cache the same tokens. libevictlab has positions for scorers to which the
    /// attention of queries from before an eviction does not matter; others can have places where all else that they
    /// read is the same there. Where it is refused, `why` says why, if given.
    Gaps gaps(bool alike, std::string* why = nullptr) const;

    void check_shape(const Shape& shape) const; ///< UsageError, by name, where it cannot be had at the shape
    const evl_scorer* get() const { return scorer_; }

private:
    struct Close {
        void operator()(evl_scorer* scorer) const { evl_scorer_close(scorer); }
    };
    void ask_needs();

    std::string text_;
    std::unique_ptr<evl_scorer, Close> owned_;
    const evl_scorer* scorer_ = nullptr;
    evl_needs needs_{};
};

/// What a scorer keeps of a model's layers at a shape, when these shares go: each layer is shown to it once, and asked
/// for when all were. Several threads may add layers at once. The scorer must outlive it.
class Selection {
public:
    Selection(const Scorer& scorer, const Shape& shape, std::span<const double> removed);
    void add(const evl_layer& layer);
    /// [removed][heads]: of a layer of so many heads and tokens that was added.
    std::vector<KeptSets> kept(std::size_t layer, std::size_t heads, std::size_t n) const;

private:
    struct Close {
        void operator()(evl_model* model) const { evl_model_close(model); }
    };
    std::size_t budgets_;
    std::unique_ptr<evl_model, Close> model_;
};

} // namespace evictlab::engine
