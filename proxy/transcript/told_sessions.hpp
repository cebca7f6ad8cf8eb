// Which sessions were handed over, and from which capture: what comes later of one is no other
// session, and another capture's is the same. Bounded.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <set>
#include <string>

namespace proxy::transcript {

class ToldSessions {
   public:
    /// True: it is to be told. False: another capture's was. Without a name nobody knows.
    bool tell(const std::string& session, std::size_t capture);
    /// What comes of it from here on is late.
    void remember(const std::string& session);
    /// Within the last 50,000.
    bool recently(const std::string& session) const { return recent_set_.contains(session); }
    /// Beyond it, another capture's sessions are told once more.
    bool is_full() const noexcept { return is_full_; }

   private:
    std::map<std::string, std::size_t> by_capture_;
    std::deque<std::string> recent_;
    std::set<std::string> recent_set_;
    bool is_full_ = false;
};

}  // namespace proxy::transcript
