// What a PEM file consists of, as OpenSSL and so libpq and PostgreSQL divide it; and what they pass
// over without a word although it was meant to be read. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "protocol/bytes.hpp"

namespace tls {

/// From one BEGIN line to its END line.
struct PemBlock {
    std::string label;     ///< "CERTIFICATE", "RSA PRIVATE KEY"
    protocol::Bytes text;  ///< of the file, with both lines
    int line = 0;          ///< of the BEGIN line, from 1
};

/// Something about one line.
struct PemFinding {
    int line = 0;
    std::string what;
};

/// "line 12: what".
std::string to_string(const PemFinding& finding);

struct PemBlocks {
    std::vector<PemBlock> blocks;      ///< in the order of the file
    std::vector<PemFinding> skipped;   ///< what looks like a part of PEM, or like nothing that belongs into such a file
    std::optional<PemFinding> broken;  ///< where OpenSSL gives up; libpq then takes nothing of the whole file
};

/// The result refers to `file`.
PemBlocks divide(protocol::Bytes file);

}  // namespace tls
