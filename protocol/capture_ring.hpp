// The files of captures by their names and first packets: which belong together, and in which order
// they are read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "protocol/pcapng_reader.hpp"

namespace protocol {

/// A ring's file is called capture-START-NUMBER.pcapng.
struct RingFile {
    std::string before;  ///< the path up to the number
    std::uint64_t number = 0;

    std::string path(std::uint64_t other) const;
};
std::optional<RingFile> ring_file(const std::string& path);

struct DatedFile {
    std::string path;
    std::uint64_t time = 0;  ///< of its first packet, ns since 1970; 0: it has none
    /// Which file it is, whatever it is called: device and inode; nullopt: it can be none twice.
    std::optional<std::pair<std::uint64_t, std::uint64_t>> file{};
};
/// Rings, and files of no ring, by their first packets; within a ring by number. What is equal in
/// both stays as it was given. Each file once: by its name in a ring, or as it was given first.
std::vector<std::string> in_reading_order(const std::vector<DatedFile>& given);

/// Looks for a file's first packet, in bytes from its beginning on.
class FirstPacket {
   public:
    /// False: what follows in the file is of no interest.
    bool look_at(Bytes bytes);

    /// ns since 1970; 0: none was found.
    std::uint64_t time() const noexcept { return time_; }
    /// Not empty: the file is not one that can be read at all.
    std::string error() const { return in_file_ ? std::string() : reader_.error(); }

   private:
    pcapng::BlockReader reader_;
    std::size_t seen_ = 0;
    std::uint64_t time_ = 0;
    bool in_file_ = false;  // some of it could be read
};

}  // namespace protocol
