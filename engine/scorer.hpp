// Scorers of libevictlab, with its failures as exceptions. SPDX-License-Identifier: MIT
#pragma once
#include <evictlab/evictlab.h>

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

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
    /// UsageError for what libevictlab does not know.
    Scorer(const Lab& lab, const std::string& text);
    /// One that somebody else opened, and keeps open for as long as this is.
    explicit Scorer(const evl_scorer* scorer);

    const std::string& text() const { return text_; }
    std::string hash() const { return evl_scorer_hash(scorer_); }
    const evl_needs& needs() const { return needs_; }
    /// Why it cannot be asked about a cache from which some tokens are gone already, so that the others' places are not
    /// their positions; "" where it can.
    std::string refusal_when_evicted() const;

    /// [removed][kv_heads][n]: what is kept when these shares go.
    std::vector<std::uint8_t> keep(const evl_layer& layer, std::span<const double> removed) const;
    std::vector<double> scores(const evl_layer& layer, double removed) const; ///< [kv_heads][n]

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

} // namespace evictlab::engine
