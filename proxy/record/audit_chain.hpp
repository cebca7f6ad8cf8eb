// The hash chain of audit lines: each one carries a digest of itself and of all before it, so that
// what was changed, removed or put in between shows (docs/audit.md has the definition for others).
// Pure: no I/O.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace proxy {

/// Writes it.
class AuditChain {
   public:
    /// The next line begins a chain, and says why it does not go on with another.
    void begin(std::string_view why);
    /// The next line goes on from a line that carries `value`.
    void go_on(std::string value);
    /// `json`: an object. Returned with its last members.
    std::string link(std::string json);
    /// What another process needs to go on: the value of the last line, or, when the next line
    /// begins a chain, something that is none.
    std::string_view state() const noexcept { return why_.empty() ? std::string_view(value_) : "0"; }
    /// Whether that is a value.
    static bool is_value(std::string_view state) noexcept;

   private:
    std::string value_;
    std::string_view why_;  // literals; empty: it goes on
};

/// A line that carries a value, taken apart.
struct ChainedLine {
    std::string unchained;      ///< without its last member: what the value is computed of
    std::string value;          ///< as it stands there
    std::string_view why = {};  ///< why it begins a chain, a part of the line; empty: it goes on

    /// Whether the value is that of this line behind one with the value `previous`.
    bool follows(std::string_view previous) const;
};

/// nullopt: it carries none. `line` without its newline, and longer-lived than the result.
std::optional<ChainedLine> parse_chained(std::string_view line);

/// What the first line of a chain is computed with.
std::string_view before_the_first() noexcept;

}  // namespace proxy
