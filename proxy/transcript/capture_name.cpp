#include "proxy/transcript/capture_name.hpp"

#include "protocol/capture_comment.hpp"
#include "protocol/capture_ring.hpp"

namespace proxy::transcript {

/// A payload that this version does not know may be anything: those that it knows go first.
int CaptureName::richness() const noexcept {
    const int of_payload = payload == "full" ? 3 : payload == "redacted" ? 2 : payload == "headers" ? 1 : 0;
    return 2 * of_payload + (failures_only ? 0 : 1);
}

CaptureName capture_name(const std::string& path, const protocol::pcapng::SectionBlock& section) {
    CaptureName name;
    for (const std::string& comment : section.comments) {
        const auto values = protocol::parse_comment(comment);
        const auto payload = values.find("payload");
        if (payload == values.end()) continue;
        name.payload = payload->second.substr(0, payload->second.find(';'));
        name.failures_only = comment.find("failures only") != std::string::npos;
        constexpr std::string_view before = "capture ";
        if (comment.starts_with(before))
            name.number = comment.substr(before.size(), comment.find(' ', before.size()) - before.size());
        name.identity = comment.substr(0, 200);
    }
    // Files of a ring are named after its start. All others are captures of their own: numbers
    // begin anew with every process, so that two that have nothing in common may say the same.
    const auto ring = protocol::ring_file(path);
    name.identity += "\n" + (ring ? ring->before.substr(ring->before.rfind('/') + 1) : path);
    return name;
}

}  // namespace proxy::transcript
