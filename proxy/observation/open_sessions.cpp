#include "proxy/observation/open_sessions.hpp"

#include <utility>

#include "proxy/observation/same_source.hpp"

namespace proxy {

OpenSessions::Token& OpenSessions::Token::operator=(Token&& other) noexcept {
    if (this == &other) return *this;
    release();
    sessions_ = other.sessions_;
    entry_ = std::move(other.entry_);
    return *this;
}

void OpenSessions::Token::release() noexcept {
    if (const auto entry = std::exchange(entry_, nullptr)) sessions_->closed(*entry);
}

OpenSessions::Token OpenSessions::opened(const ClientOrigin& source, std::shared_ptr<const ProcessOwner> process) {
    auto entry = std::make_shared<Entry>(Entry{source, std::move(process)});
    const std::lock_guard lock(mutex_);
    ++open_[source];
    if (entry->process && source.client_exe.empty()) searching_.push_back(entry);
    take_processes();  // so that there are never many
    return {*this, std::move(entry)};
}

bool OpenSessions::has(const ClientOrigin& source) {
    const std::lock_guard lock(mutex_);
    take_processes();
    for (auto at = open_.lower_bound(first_at_address(source)); at != open_.end(); ++at) {
        if (!same_address(at->first, source)) return false;
        if (may_be_same(at->first, source)) return true;
    }
    return false;
}

void OpenSessions::closed(Entry& entry) noexcept {
    const std::lock_guard lock(mutex_);
    entry.closed = true;
    const auto found = open_.find(entry.source);
    if (found != open_.end() && --found->second == 0) open_.erase(found);
}

void OpenSessions::take_processes() {
    std::erase_if(searching_, [&](const std::shared_ptr<Entry>& entry) {
        if (entry->closed) return true;
        if (!entry->process->is_done()) return false;
        std::string exe = entry->process->get(std::chrono::milliseconds(0)).exe;
        if (exe.empty()) return true;  // was not found
        const auto found = open_.find(entry->source);
        if (--found->second == 0) open_.erase(found);
        entry->source.client_exe = std::move(exe);
        ++open_[entry->source];
        return true;
    });
}

}  // namespace proxy
