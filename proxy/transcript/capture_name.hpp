// Which capture a file is of: two that ran side by side hold the same sessions.
#pragma once

#include <string>

#include "protocol/pcapng_reader.hpp"

namespace proxy::transcript {

struct CaptureName {
    std::string identity;  ///< the same for all files of a capture
    std::string payload;   ///< empty: the file does not say
    std::string number;    ///< among those of its proxy's process; empty: the file does not say
    bool failures_only = false;

    /// How much it tells about a session; more is better.
    int richness() const noexcept;
};

CaptureName capture_name(const std::string& path, const protocol::pcapng::SectionBlock& section);

}  // namespace proxy::transcript
