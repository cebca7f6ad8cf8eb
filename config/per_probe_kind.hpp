// One value for each kind of certificate probe.
#pragma once

#include <array>

#include "config/config.hpp"

namespace config {

inline constexpr std::array all_probe_kinds{ProbeKind::untrusted, ProbeKind::wrong_name, ProbeKind::candidate};

template <class T>
class PerProbeKind {
   public:
    T& operator[](ProbeKind kind) noexcept { return values_[static_cast<std::size_t>(kind)]; }
    const T& operator[](ProbeKind kind) const noexcept { return values_[static_cast<std::size_t>(kind)]; }
    bool operator==(const PerProbeKind&) const = default;

   private:
    std::array<T, all_probe_kinds.size()> values_{};
};

}  // namespace config
