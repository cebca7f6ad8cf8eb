// Sessions that captures say they do not have: each has an entry of its own where there was room
// for it, and the end of each file says how many there are.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "protocol/captured_absence.hpp"

namespace protocol {

/// How many sessions, and entries of others, a capture says are not in it.
struct AbsentCount {
    std::uint64_t left_out = 0;
    std::uint64_t not_entered = 0;
    std::uint64_t entries = 0;
    bool goes_on = false;  ///< in another file
};

class AbsentSessions {
   public:
    /// False: that was known.
    bool add(std::size_t capture, const std::string& session, Absence why);
    /// `word`: a reason that this version does not know. It counts as left out.
    bool add(std::size_t capture, const std::string& session, const std::string& word);
    /// It is there from here on, if it had only not entered so far.
    void entered(std::size_t capture, const std::string& session);
    /// Another capture has it.
    void told_elsewhere(std::size_t capture, const std::string& session);
    /// As the end of a file says it.
    void so_far(std::size_t capture, const AbsentCount& count);

    AbsentCount count() const;
    /// Sentences; empty: nobody is absent. `only`: names of the sessions that matter; empty: all.
    /// Those without a name may be any.
    std::vector<std::string> texts(const std::set<std::string>& only = {}) const;

   private:
    struct Named {
        std::optional<Absence> why{};
        std::string word{};  // where that is not known
        bool elsewhere = false;
    };
    bool add(std::size_t capture, const std::string& session, Named&& named);
    static std::uint64_t& of_kind(AbsentCount& count, const Named& named);
    struct OfCapture {
        std::map<std::string, Named> named;
        AbsentCount said;
    };
    /// Those of a capture that no entry names.
    static AbsentCount nameless(const OfCapture& capture);

    std::map<std::size_t, OfCapture> captures_;
    std::size_t named_ = 0;
};

}  // namespace protocol
