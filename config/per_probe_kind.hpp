// One value for each kind of certificate probe.
#pragma once

#include <array>

#include "config/config.hpp"

namespace config {

template <class T>
class PerProbeKind {
   public:
    T& operator[](ProbeKind kind) noexcept { return values_[static_cast<std::size_t>(kind)]; }
    const T& operator[](ProbeKind kind) const noexcept { return values_[static_cast<std::size_t>(kind)]; }
    bool operator==(const PerProbeKind&) const = default;

   private:
    std::array<T, protocol::probe_kinds.size()> values_{};
};

}  // namespace config
