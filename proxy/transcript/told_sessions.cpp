#include "proxy/transcript/told_sessions.hpp"

namespace proxy::transcript {
namespace {

constexpr std::size_t max_recent = 50'000;
/// Of all captures.
constexpr std::size_t max_told = 500'000;

}  // namespace

bool ToldSessions::tell(const std::string& session, std::size_t capture) {
    if (session.empty()) return true;
    remember(session);
    const auto told = by_capture_.find(session);
    if (told != by_capture_.end()) return told->second == capture;
    is_full_ = by_capture_.size() >= max_told;
    if (!is_full_) by_capture_.emplace(session, capture);
    return true;
}

void ToldSessions::remember(const std::string& session) {
    if (!recent_set_.insert(session).second) return;
    recent_.push_back(session);
    if (recent_.size() <= max_recent) return;
    recent_set_.erase(recent_.front());
    recent_.pop_front();
}

}  // namespace proxy::transcript
