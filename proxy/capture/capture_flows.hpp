// Which bytes of each conversation stand in a file so far. Whoever reads PostgreSQL's protocol in a
// file of its own, or behind a gap, has to begin with a message: one that he sees the end of alone
// costs him the rest of that direction. One thread's.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace proxy {

struct CapturePacket;

class CaptureFlows {
   public:
    /// Beyond it those that are known are forgotten, and begin anew.
    static constexpr std::size_t max_conversations = 100'000;

    struct Entry {
        bool left_out = false;  ///< nothing of the packet has its beginning in this file
        std::vector<std::string> comments{};
    };

    /// What is known is of the file before.
    void begin_file();
    /// The packet comes next: without its first bytes, where their message did not begin in this
    /// file; and what has to be said of it.
    Entry enter(CapturePacket& packet);

   private:
    struct Conversation {
        std::array<std::optional<std::uint32_t>, 2> next;  // sequence numbers of client and server
        std::array<bool, 2> untold_rest{};                 // left out whole since
        unsigned ends = 0;                                 // FINs
        bool is_introduced = false;                        // who it is has been said
    };

    std::map<std::uint64_t, Conversation> conversations_;  // by their numbers
    bool has_forgotten_ = false;                           // of this file: one that is new may not be
};

}  // namespace proxy
