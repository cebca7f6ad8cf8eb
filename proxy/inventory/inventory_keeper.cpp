#include "proxy/inventory/inventory_keeper.hpp"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <utility>

#include "protocol/utf8.hpp"
#include "proxy/inventory/shortened_files.hpp"

namespace proxy {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

/// Whoever repairs it need not restart the proxy.
constexpr auto attempt_interval = 10s;

std::string seconds_text() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(now).count());
}

/// What SQLite keeps beside the file, as far as it is there.
void move_log_aside(const std::string& path, const std::string& aside) {
    for (const char* const more : {"-wal", "-shm"}) {
        std::error_code not_there;
        fs::rename(path + more, aside + more, not_there);
    }
}

/// "inventory.db.damaged-1764400000", with what SQLite keeps beside it, so that it can be repaired.
std::string move_aside(const std::string& path) {
    const std::string aside = path + ".damaged-" + seconds_text();
    fs::rename(path, aside);
    move_log_aside(path, aside);
    return aside;
}

bool is_about_a_client(EventKind kind) {
    switch (kind) {
        case EventKind::connected:
        case EventKind::tls_failed:
        case EventKind::auth_failed:
        case EventKind::rejected:
        case EventKind::upstream_failed: return true;
        default: return false;
    }
}

}  // namespace

std::string gap_marker(const std::string& inventory) { return inventory + ".incomplete"; }

void leave_gap_marker(const std::string& inventory) noexcept {
    try {
        const int fd = ::open(gap_marker(inventory).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
        if (fd >= 0) ::close(fd);
    } catch (const std::bad_alloc&) {
        // Nor can it be said.
    }
}

InventoryKeeper::InventoryKeeper(Settings settings) : settings_(std::move(settings)), use_(settings_.path) {
    if (!settings_.goes_on) tell_of_others();
    try_to_open();
}

InventoryKeeper::~InventoryKeeper() {
    if (!inventory_ && left_out_ > 0)
        spdlog::error("inventory: {} events are in no report: {} could not be used until the end", left_out_,
                      settings_.path);
}

void InventoryKeeper::absorb(const Event& event) {
    if (event.kind == EventKind::stopping || event.kind == EventKind::upgraded) use_.draining();
    if (inventory_) return inventory_->absorb(event);
    if (is_about_a_client(event.kind)) ++left_out_;
}

void InventoryKeeper::lost(std::uint64_t events) {
    if (inventory_) return inventory_->lost(events);
    left_out_ += events;
}

InventoryKeeper::Clock::time_point InventoryKeeper::due() const noexcept {
    const bool is_told = inventory_ && retention_.load() != obeyed_;
    if (!news_.empty() || is_told) return {};
    return inventory_ ? inventory_->due() : next_attempt_;
}

std::vector<Event> InventoryKeeper::flush() {
    if (take_shortened() && inventory_) {
        has_gap_ = true;
        inventory_.reset();
        tell("the inventory " + settings_.path +
             " was made shorter by somebody while it was in use, and is opened anew");
        next_attempt_ = {};
    }
    notice_removal();
    if (!inventory_ && Clock::now() >= next_attempt_) try_to_open();
    if (!inventory_) return std::exchange(news_, {});
    if (const auto retention = retention_.load(); retention != obeyed_) {
        obeyed_ = retention;
        inventory_->retain_for(retention);
    }
    std::vector<Event> news = inventory_->flush();  // when it throws, what was news before is still to be told
    // It is stored, and will be nobody's news again: mostly no memory is needed to hand it on.
    if (news_.empty()) news_.swap(news);
    for (Event& event : news) news_.push_back(std::move(event));
    if (inventory_->damage().empty()) return std::exchange(news_, {});
    has_gap_ = true;
    const std::string why = inventory_->damage();
    inventory_.reset();
    tell("the inventory " + settings_.path + " was damaged while it was in use, and is opened anew: " + why);
    try_to_open();
    return std::exchange(news_, {});
}

std::optional<Unwritten> InventoryKeeper::unwritten() const {
    if (inventory_) return inventory_->unwritten();
    return Unwritten{.since = unavailable_since_, .events = left_out_};
}

void InventoryKeeper::try_to_open() {
    try {
        open();
    } catch (const DamagedInventory& error) {
        if (settings_.ours || error.is_sqlite()) {
            begin_anew(error.what());
        } else {
            unavailable(error.what());
        }
    } catch (const std::exception& error) {
        unavailable(error.what());
    }
}

void InventoryKeeper::open() {
    inventory_ = settings_.open();
    known_certificates_ = inventory_->known_certificates();
    file_ = file_id(settings_.path).value_or(FileId());
    std::error_code error;
    if (has_gap_ || fs::exists(gap_marker(settings_.path), error)) inventory_->has_gap();
    fs::remove(gap_marker(settings_.path), error);
    if (const auto events = std::exchange(left_out_, 0); events > 0) inventory_->lost(events);
    if (std::exchange(told_, false)) spdlog::info("inventory: {} can be used again", settings_.path);
    has_gap_ = false;
    settings_.use(inventory_.get());
}

/// Whoever removes the file, or puts another in its place, has taken what it knew: what is written
/// from then on would go nowhere.
void InventoryKeeper::notice_removal() {
    if (!inventory_) return;
    const auto now = file_id(settings_.path);
    if (!now || *now == file_) return;
    if (file_ == FileId()) {  // nobody could say when it was opened
        file_ = *now;
        return;
    }
    has_gap_ = true;
    inventory_.reset();
    // What SQLite has left there is the old file's, and would be written into the new one.
    move_log_aside(settings_.path, settings_.path + ".removed-" + seconds_text());
    tell("the inventory " + settings_.path +
         " was removed or replaced while it was in use: what it knew is in no report");
    next_attempt_ = {};
}

void InventoryKeeper::begin_anew(const std::string& why) {
    try {
        const std::string aside = move_aside(settings_.path);
        has_gap_ = true;
        open();
        tell(why + ". It was moved to " + aside + " and a new one begun: what only the old one knew is in no report");
    } catch (const std::exception& error) {
        unavailable(why + "; and it cannot be replaced: " + error.what());
    }
}

void InventoryKeeper::unavailable(const std::string& why) {
    inventory_.reset();
    next_attempt_ = Clock::now() + attempt_interval;
    if (std::exchange(told_, true)) return;
    unavailable_since_ = std::chrono::system_clock::now();
    has_gap_ = true;
    leave_gap_marker(settings_.path);
    settings_.use(nullptr);
    tell(why +
         ". Clients are served without it, and what they do is in no report until it can be used, which is tried every "
         "10 s. Repair it, or set audit.inventory to another file");
}

/// A mistake in the configuration that would show in wrong figures alone. One that ends is none: it
/// may be what is replaced.
void InventoryKeeper::tell_of_others() const {
    const InventoryUse::Other other = use_.other();
    const std::string process = other.pid > 0 ? "process " + std::to_string(other.pid) : "another process";
    if (other.state == InventoryUse::Other::State::draining)
        return spdlog::info("audit.inventory: {} is also used by {}, which drains", settings_.path, process);
    if (other.state == InventoryUse::Other::State::none) return;
    spdlog::warn(
        "audit.inventory: {} is also used by {}: what they write there mixes, and no report can be relied on. Give "
        "each "
        "of them a runtime.state_dir of its own, or set audit.inventory to another file",
        settings_.path, process);
}

void InventoryKeeper::tell(const std::string& what) {
    const std::string message = protocol::printable(what);  // SQLite's own words have lines
    spdlog::error("{}", message);
    news_.push_back({.kind = EventKind::inventory_failed, .message = message});
}

}  // namespace proxy
