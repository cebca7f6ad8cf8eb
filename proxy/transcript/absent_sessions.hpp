// Sessions that captures say they do not have: each has an entry of its own where there was room
// for it, and the end of each file says how many there are.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "protocol/captured_absence.hpp"
#include "proxy/transcript/session_facts.hpp"

namespace proxy::transcript {

class AbsentSessions {
   public:
    /// False: that was known.
    bool add(std::size_t capture, const std::string& session, protocol::Absence why);
    /// It is there from here on.
    void entered(std::size_t capture, const std::string& session);
    /// Another capture has it.
    void told_elsewhere(std::size_t capture, const std::string& session);
    /// As the end of a file says it.
    void so_far(std::size_t capture, const AbsentCount& count);

    AbsentCount count() const;
    /// Sentences; empty: nobody is absent.
    std::vector<std::string> texts() const;

   private:
    struct Named {
        protocol::Absence why{};
        bool elsewhere = false;
    };
    struct OfCapture {
        std::map<std::string, Named> named;
        AbsentCount said;
    };
    /// Those of a capture that no entry names.
    static AbsentCount nameless(const OfCapture& capture);

    std::map<std::size_t, OfCapture> captures_;
    std::size_t named_ = 0;
};

}  // namespace proxy::transcript
