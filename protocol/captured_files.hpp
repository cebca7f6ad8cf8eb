// Which files of captures are not there, or not whole, and how many packets found no room in them:
// what `capture read` and a replay say of files before anything else. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace protocol {

class CapturedFiles {
   public:
    /// One that was given cannot be opened: why.
    void cannot_open(const std::string& path, const std::string& why);
    /// In the order of time; "-": standard input.
    void file(const std::string& path);
    /// Which capture the last file is of: drops of one are told once.
    void capture(const std::string& identity) { capture_ = identity; }
    /// Of the last one: bytes of a block that has not ended, why it cannot be read on, blocks that
    /// were not understood.
    void end_of_file(std::size_t pending, const std::string& error, std::uint64_t skipped);
    /// The last one; `why` it is not all there, as of a whole sentence's end.
    void file_lacks(const std::string& why);
    /// Before a packet of this interface.
    void dropped(const std::string& interface, std::uint64_t packets);
    /// In the whole capture so far, as the end of a file says.
    void statistics(const std::string& interface, std::uint64_t dropped);
    /// The last file goes on with a packet or an entry, so that its statistics were not its end.
    void goes_on() { has_end_ = false; }
    /// Whether the last file says that another one of its ring follows it.
    void followed(bool is_followed) { followed_ = is_followed; }
    /// A ring goes on with this file, which was not given.
    void ring_goes_on(const std::string& path);

    const std::string& path() const noexcept { return file_; }
    // Sentences; empty: nothing is known to be missing.
    std::vector<std::string> file_texts() const;
    std::vector<std::string> drop_texts() const;
    std::vector<std::string> block_texts() const;

   private:
    std::string name() const;
    void ring_texts(std::vector<std::string>& out) const;
    void end_texts(std::vector<std::string>& out) const;

    struct Drops {
        std::uint64_t in_packets = 0;
        std::uint64_t in_statistics = 0;
    };
    std::vector<std::string> files_lack_;
    std::string file_;
    std::string capture_;                                         // which the last file is of
    std::map<std::string, std::set<std::uint64_t>> rings_;        // numbers of the files that were given
    std::map<std::pair<std::string, std::string>, Drops> drops_;  // by capture and interface
    std::uint64_t skipped_ = 0;                                   // blocks
    std::vector<std::string> goes_on_;                            // files that were not given
    bool followed_ = false;                                       // the last file says that another one follows it
    std::map<std::string, std::uint64_t> ring_followed_;          // the last that say so, by ring
    std::set<std::string> others_followed_;                       // files of no ring by their names
    bool has_end_ = false;                                        // of the last file
    std::vector<std::string> without_end_;                        // files, some of them
    std::uint64_t files_without_end_ = 0;
};

}  // namespace protocol
