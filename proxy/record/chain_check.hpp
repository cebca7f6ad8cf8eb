// Reads audit lines in their order and says where their hash chain is broken. Pure: no I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace proxy {

class ChainCheck {
   public:
    /// What is wrong before or in this line, which is without its newline; nullopt: nothing, as far
    /// as it can be known.
    std::optional<std::string> add(std::string_view line);

    /// Lines with a value that was computed anew and found right.
    std::uint64_t confirmed() const noexcept { return confirmed_; }
    /// Lines before the first that carries a value: nobody can tell whether they are what they
    /// were.
    std::uint64_t uncovered() const noexcept { return uncovered_; }
    /// The chain's first line names a line before it that was not given, so that itself is not
    /// confirmed.
    bool goes_on_from_elsewhere() const noexcept { return goes_on_from_elsewhere_; }
    /// The chain's value after the last line; empty: none has one.
    const std::string& value() const noexcept { return value_; }

   private:
    std::optional<std::string> add_unchained(std::string_view line);

    std::string value_;
    bool known_ = false;  // whether value_ is that of the line before
    std::uint64_t confirmed_ = 0;
    std::uint64_t uncovered_ = 0;
    bool goes_on_from_elsewhere_ = false;
};

}  // namespace proxy
