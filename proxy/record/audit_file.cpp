#include "proxy/record/audit_file.hpp"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include "proxy/record/event_json.hpp"

namespace proxy {
namespace {

/// What waits for flush() is bounded: a batch of events may be tens of MiB of lines.
constexpr std::size_t max_buffered = 256 * 1024;

/// Far beyond any event's: names are cut, and so are errors.
constexpr off_t max_line = 1024 * 1024;

struct LastLine {
    bool readable = true;
    std::optional<std::string> text;  // nullopt: the file is empty, or no file
};

LastLine read_last_line(int fd, const std::string& path) {
    struct stat file {};
    if (::fstat(fd, &file) != 0 || !S_ISREG(file.st_mode) || file.st_size == 0) return {};
    const int reader = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (reader < 0) return {.readable = false, .text = {}};
    std::string end(static_cast<std::size_t>(std::min(file.st_size, max_line)), '\0');
    const ssize_t n = ::pread(reader, end.data(), end.size(), file.st_size - static_cast<off_t>(end.size()));
    ::close(reader);
    if (n != static_cast<ssize_t>(end.size())) return {.readable = false, .text = {}};
    end.pop_back();  // its newline
    const std::size_t before = end.rfind('\n');
    if (before == std::string::npos && file.st_size > max_line) return {.readable = false, .text = {}};
    return {.readable = true, .text = end.substr(before + 1)};  // npos + 1 is 0
}

}  // namespace

std::string audit_path(const config::Audit& audit, const std::string& state_dir) {
    const std::string& file = audit.file;
    if (file.empty() || file == "-" || file.front() == '/') return file;
    return state_dir + "/" + file;
}

AuditFile::AuditFile(Settings settings)
    : path_(std::move(settings.path)), proxy_(std::move(settings.proxy)), share_(settings.share) {
    if (const std::string error = open(); !error.empty())
        throw CannotOpen("cannot open audit file " + path_ + ": " + error, file_.error());
    const auto before = share_.begin();
    is_our_turn_ = true;
    if (settings.chained == Chained::yes) {
        chain_.emplace();
        // What was written to a pipe before is of another run, unless that goes on.
        if (before && (place().inode != 0 || settings.goes_on)) {
            follow(*before);
        } else {
            continue_chain();
        }
    }
    end_turn();
}

AuditFile::~AuditFile() {
    flush();
    next_tell_ = {};
    if (lost_ > told_) tell_lost();
}

void AuditFile::add(const Event& event) {
    if (!file_.is_open()) return;
    const bool is_told = event.kind == EventKind::events_dropped;
    try {
        begin_turn();
    } catch (const std::bad_alloc&) {
        return lost(is_told ? Lines{.events = 0, .told = event.count} : Lines{.events = 1, .told = 0}, ENOMEM);
    }
    ++added_;
    if (event.kind == EventKind::events_dropped) {  // alone: when it is lost, so is what it says
        write_out();
        waiting_.told = event.count;
    } else {
        ++waiting_.events;
    }
    try {
        std::string line = to_json(event, proxy_);
        if (chain_) line = chain_->link(std::move(line));
        line += '\n';
        buffer_ += line;
    } catch (const std::exception&) {  // there is no memory, and for nothing else
        if (event.kind == EventKind::events_dropped) {
            lost({.told = std::exchange(waiting_.told, 0)}, ENOMEM);
        } else {
            --waiting_.events;
            lost({.events = 1}, ENOMEM);
        }
    }
    const bool is_alone = event.kind == EventKind::events_dropped;
    if (is_alone || buffer_.size() >= max_buffered) write_out();
}

void AuditFile::flush() {
    write_out();
    if (lost_ > told_) tell_lost();
    tell_file_of_lost();
    end_turn();
}

void AuditFile::tell_file_of_lost() {
    if (std::exchange(added_, 0) == 0) return;
    if (lost_ == 0 || std::exchange(losing_, false)) return;
    // Lines are taken again: the first that can be says how many were not.
    spdlog::info("audit: {} can be written again: {} events were lost", path_, lost_);
    const std::uint64_t missing = std::exchange(lost_, 0);
    told_ = 0;
    add({.kind = EventKind::events_dropped, .count = missing});
    added_ = 0;
    if (std::exchange(losing_, false)) told_ = lost_;
}

std::uint64_t AuditFile::take_lost() noexcept { return std::exchange(newly_lost_, 0); }

/// Clients can cause it as often as they like.
void AuditFile::tell_lost() {
    const auto now = std::chrono::steady_clock::now();
    if (now < next_tell_) return;
    next_tell_ = now + std::chrono::seconds(1);
    spdlog::error("audit: {} events lost: cannot write {}: {}", lost_ - told_, path_, std::strerror(error_));
    told_ = lost_;
}

/// Nobody would read what is written to it. False: it is removed, and there is none in its place.
bool AuditFile::replace_removed() {
    if (!file_.is_removed()) return true;
    const auto now = std::chrono::steady_clock::now();
    if (now < next_open_) return false;
    next_open_ = now + std::chrono::seconds(1);
    std::string error;
    try {
        error = open();
    } catch (const std::bad_alloc&) {
        return false;  // the next time, perhaps
    }
    if (error.empty()) {
        removal_told_ = false;
        if (file_.is_torn() && chain_) chain_->begin("half a line");
        spdlog::error("audit: {} was removed while it was in use: it is begun anew", path_);
        return true;
    }
    if (!std::exchange(removal_told_, true))
        spdlog::error("audit: {} was removed while it was in use, and cannot be opened: {}", path_, error);
    return false;
}

void AuditFile::reopen() {
    flush();
    begin_turn();
    const std::string error = open();
    if (!error.empty()) {
        spdlog::error("audit: cannot open {}: {}", path_, error);
    } else if (file_.is_torn() && chain_) {
        // Else the chain goes on in the new file: what this one knows is more than can be read from
        // any.
        chain_->begin("half a line");
    }
    end_turn();
}

// --- Turns: all that is written, and what it is linked to, is one process's alone

/// Throws std::bad_alloc, and it is not our turn then.
void AuditFile::begin_turn() {
    if (is_our_turn_) return;
    const auto now = share_.begin();
    try {
        if (now) catch_up(*now);
        is_our_turn_ = true;
    } catch (...) {
        share_.give_up();
        throw;
    }
}

/// Whoever wrote meanwhile may have opened the path anew, or may have been killed as it wrote.
void AuditFile::catch_up(const AuditShare::Place& now) {
    const AuditShare::Place ours = place();
    if (now == left_ && ours.end <= left_.end) return;
    if (now == left_) return follow_cut_off();
    if (now.device != ours.device || now.inode != ours.inode) {
        if (const std::string error = open(); !error.empty())
            return spdlog::error("audit: another process goes on in {}, which cannot be opened: {}", path_, error);
    }
    if (chain_) follow(now);
}

void AuditFile::end_turn() noexcept {
    if (!std::exchange(is_our_turn_, false) || !share_.is_open()) return;
    left_ = place();
    share_.done(left_);
}

/// As it was left by another process, if nobody has touched it since.
void AuditFile::follow(const AuditShare::Place& left) {
    const AuditShare::Place here = place();
    const bool is_as_left = here.device == left.device && here.inode == left.inode && here.end == left.end;
    if (!is_as_left || left.chain.empty()) return continue_chain();
    if (AuditChain::is_value(left.chain)) return chain_->go_on(std::string(left.chain));
    chain_->begin("lost lines");
}

/// Lines came that nobody answers for: of a process that was killed, or of no pgairlock.
void AuditFile::follow_cut_off() {
    if (const std::string error = open(); !error.empty())
        return spdlog::error("audit: cannot open {}: {}", path_, error);
    if (!chain_) return;
    if (file_.is_torn()) return chain_->begin("half a line");
    const LastLine last = read_last_line(file_.descriptor(), path_);
    if (const auto chained = last.text ? parse_chained(*last.text) : std::nullopt) chain_->go_on(chained->value);
}

AuditShare::Place AuditFile::place() const noexcept {
    AuditShare::Place place;
    struct stat file {};
    if (file_.is_open() && ::fstat(file_.descriptor(), &file) == 0 && S_ISREG(file.st_mode))
        place = {.device = file.st_dev, .inode = file.st_ino, .end = file.st_size, .chain = {}};
    if (chain_) place.chain = chain_->state();
    return place;
}

/// Why not; empty: it is open.
std::string AuditFile::open() {
    if (path_.empty()) return {};
    if (path_ != "-") return file_.open(path_);
    file_.use(STDOUT_FILENO);
    return {};
}

/// Where an earlier process has left it.
void AuditFile::continue_chain() {
    const LastLine last = file_.is_torn() ? LastLine{} : read_last_line(file_.descriptor(), path_);
    const auto chained = last.text ? parse_chained(*last.text) : std::nullopt;
    if (chained) return chain_->go_on(chained->value);
    chain_->begin(file_.is_torn()  ? "half a line"
                  : !last.readable ? "unreadable line"
                  : last.text      ? "unchained line"
                                   : "no line");
}

void AuditFile::write_out() {
    const Lines waiting = std::exchange(waiting_, {});
    if (!replace_removed()) {
        if (!buffer_.empty()) lost(waiting, ENOENT);
    } else if (const std::size_t left = file_.append(buffer_); left > 0) {
        lost(waiting.told > 0 ? waiting : Lines{.events = left}, file_.error());
    }
    buffer_.clear();
}

/// What a lost line about losses has told was counted when that was lost.
void AuditFile::lost(Lines lines, int error) noexcept {
    lost_ += lines.events + lines.told;
    newly_lost_ += lines.events;
    losing_ = true;
    error_ = error;
    if (chain_) chain_->begin("lost lines");
}

}  // namespace proxy
