// Which prepared statements, or portals, may hold secrets in their parameters. Bounded: beyond it,
// all may.
#pragma once

#include <cstdint>
#include <string_view>
#include <unordered_set>

namespace protocol {

/// Of a name, as it comes byte by byte. Some are one here that are two to the server, such as those
/// that differ only by case: nothing but "" may be taken for harmless by its name.
class NameHash {
   public:
    void add(std::uint8_t c) noexcept;
    std::uint64_t value() const noexcept { return value_; }

   private:
    // NAMEDATALEN: the server compares no more, and SQL keeps no more.
    static constexpr std::size_t max_name = 63;

    std::size_t size_ = 0;
    std::uint64_t value_ = 0xcbf29ce484222325;  // FNV-1a
};
/// `name` is whole.
std::uint64_t hash_of(std::string_view name) noexcept;

class StatementNames {
   public:
    /// From now on all may: others were prepared that nobody saw.
    void give_up() noexcept;

    /// The client asks for it. What may be secret stays so, for the server may refuse to prepare a
    /// name anew. A "" replaces the one before only up to the next Sync: should the server not make
    /// it, it does not hear what else the client says up to there; behind it the one before stands.
    void prepared(std::uint64_t name, bool secret);
    /// The client has sent Sync.
    void synced() noexcept { replaced_ = false; }
    bool may_be_secret(std::uint64_t name) const noexcept;

   private:
    static constexpr std::size_t max_names = 4096;

    bool all_ = false;
    bool unnamed_ = false;   // "" may be secret, or may have been
    bool replaced_ = false;  // it is not, up to the next Sync
    std::unordered_set<std::uint64_t> secrets_;
};

}  // namespace protocol
