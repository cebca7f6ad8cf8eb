// Which prepared statements may hold secrets in their parameters. Bounded: beyond it, all do.
#pragma once

#include <cstdint>
#include <string_view>
#include <unordered_set>

namespace protocol {

/// Of a name, as it comes byte by byte. Names that differ only by case are one here.
class NameHash {
   public:
    void add(std::uint8_t c) noexcept;
    std::uint64_t value() const noexcept { return value_; }

   private:
    std::uint64_t value_ = 0xcbf29ce484222325;  // FNV-1a
};
/// `name` is whole.
std::uint64_t hash_of(std::string_view name) noexcept;

class StatementNames {
   public:
    /// Those that were prepared before anybody looked may hold secrets.
    void begin_unknown() noexcept;
    /// From now on all may.
    void give_up() noexcept;

    /// What may be secret stays so, for the server may refuse to prepare a name anew; but not "".
    void prepared(std::uint64_t name, bool secret);
    bool may_be_secret(std::uint64_t name) const noexcept;

   private:
    static constexpr std::size_t max_names = 4096;

    bool unknown_are_secret_ = false;
    std::unordered_set<std::uint64_t> exceptions_;  // known, and not as the unknown ones are
};

}  // namespace protocol
