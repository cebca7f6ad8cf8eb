// What capture files say that they do not hold: packets that were dropped, sessions that were left
// out, files that are not there. `same` is said of what is in them and of nothing else. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "protocol/pcapng_reader.hpp"

namespace bench::replay {

/// How many a capture says are not in it.
struct AbsentCount {
    std::uint64_t left_out = 0;
    std::uint64_t not_entered = 0;
    std::uint64_t entries = 0;  ///< audit events
};

class CaptureLacks {
   public:
    /// Files in their order, each followed by its blocks and its end.
    void file(const std::string& path);
    void block(const protocol::pcapng::Block& block);
    void end_of_file(const protocol::pcapng::BlockReader& reader);
    /// The file's capture has this session, or a part of it, from here on.
    void has_session(const std::string& session);
    /// A ring goes on with this file, which was not given.
    void ring_goes_on(const std::string& path) { goes_on_.push_back(path); }

    /// Sentences; empty: nothing is known to be missing. `only`: names of the sessions that matter;
    /// empty: all.
    std::vector<std::string> texts(const std::set<std::string>& only) const;

   private:
    struct OfCapture {
        std::map<std::string, std::string> absent;  // sessions that have an entry: why
        AbsentCount said;                           // by the end of its last file
    };
    struct Drops {
        std::uint64_t in_packets = 0;
        std::uint64_t in_statistics = 0;  // of the whole capture so far
    };

    void entry(const protocol::pcapng::JournalBlock& entry);
    const std::string& interface_name(std::uint32_t number) const;
    void absent_texts(std::vector<std::string>& out, const std::set<std::string>& only) const;
    void drop_texts(std::vector<std::string>& out) const;
    void file_texts(std::vector<std::string>& out) const;

    std::string path_;
    std::string capture_;                  // which the file is of
    std::vector<std::string> interfaces_;  // of this section
    bool has_end_ = false;                 // the last file, so far
    std::map<std::string, OfCapture> captures_;
    std::map<std::pair<std::string, std::string>, Drops> drops_;  // by capture and interface
    std::map<std::string, std::set<std::uint64_t>> rings_;        // numbers of the files that were given
    std::vector<std::string> goes_on_;
    std::vector<std::string> unfinished_;  // files
    std::vector<std::string> cut_;         // sentences
    std::uint64_t skipped_ = 0;            // blocks
    std::size_t named_ = 0;
    bool failures_only_ = false;
};

}  // namespace bench::replay
