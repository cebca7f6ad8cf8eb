// Small secret files that the program makes for itself and keeps in its state directory.
#pragma once

#include <string>

#include "protocol/bytes.hpp"

namespace proxy {

struct OwnFile {
    protocol::Buffer contents;  ///< empty: `fault` says why
    bool exists = false;
    std::string tightened;  ///< a sentence, when others had access to it and have it no more
    std::string fault;
};

/// A file of exactly `size` bytes.
OwnFile read_own_file(const std::string& path, std::size_t size);

/// Puts a file there, 0600, whole or not at all. Where another process was first and its file is
/// as long, that one counts, so that all agree.
OwnFile keep_own_file(const std::string& path, const protocol::Buffer& contents);

}  // namespace proxy
