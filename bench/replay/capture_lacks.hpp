// What capture files say that they do not hold: packets that were dropped, sessions that were left
// out, files that are not there. `same` is said of what is in them and of nothing else. Pure.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "protocol/absent_sessions.hpp"
#include "protocol/captured_files.hpp"
#include "protocol/pcapng_reader.hpp"

namespace bench::replay {

class CaptureLacks {
   public:
    /// Files in their order, each followed by its blocks and its end.
    void file(const std::string& path);
    void block(const protocol::pcapng::Block& block);
    void end_of_file(const protocol::pcapng::BlockReader& reader);
    /// The file's capture has this session, or a part of it, from here on.
    void has_session(const std::string& session) { absent_.entered(capture_, session); }
    /// A ring goes on with this file, which was not given.
    void ring_goes_on(const std::string& path) { files_.ring_goes_on(path); }
    /// Of the last file: files of a ring have the same.
    const std::string& capture_name() const noexcept { return name_; }

    /// Sentences; empty: nothing is known to be missing. `only`: names of the sessions that matter;
    /// empty: all.
    std::vector<std::string> texts(const std::set<std::string>& only) const;

   private:
    void entry(const protocol::pcapng::JournalBlock& entry);
    const std::string& interface_name(std::uint32_t number) const;

    std::string name_;
    std::size_t capture_ = 0;                      // which the file is of
    std::map<std::string, std::size_t> captures_;  // numbers, by name
    std::vector<std::string> interfaces_;          // of this section
    protocol::CapturedFiles files_;
    protocol::AbsentSessions absent_;
    bool failures_only_ = false;
};

}  // namespace bench::replay
