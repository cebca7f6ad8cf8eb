// The thread of a capture: what waits is written until the end, and what cannot be is counted.
#include <algorithm>

#include "proxy/capture/capture.hpp"
#include "proxy/capture/capture_entry.hpp"

namespace proxy {
namespace {

using namespace std::chrono_literals;
using Steady = std::chrono::steady_clock;

/// How often the disk, the file and the client are looked at, whatever comes.
constexpr auto look_interval = 500ms;
constexpr auto gathering = 20ms;
/// Bytes of entries about sessions at the end: the count there tells of those that find no room.
constexpr std::size_t max_last_entries = 64 * 1024;

}  // namespace

CaptureEnd Capture::run(std::string& why) noexcept {
    CaptureEnd broken = CaptureEnd::none;
    const auto say = [&why](const char* what) noexcept {
        try {
            why = what;
        } catch (const std::bad_alloc&) {
            // Its word says enough.
        }
    };
    try {
        write_all();
    } catch (const CaptureOver& over) {
        broken = over.end();
        say(over.what());
    } catch (const std::exception& error) {
        broken = CaptureEnd::failed;
        say(error.what());
    }
    if (broken == CaptureEnd::client && Steady::now() >= deadline()) broken = CaptureEnd::time;
    if (broken != CaptureEnd::none) end(broken);
    if (why.empty()) say(why_not_all_.c_str());
    // A client that goes once it is over anyway is not why.
    const CaptureEnd ended = is_failure(broken) ? broken : end_.load();
    settle(0);
    drop_what_waits();
    bytes_ = written();
    write_last(ended);
    // Now, for a session that says nothing more holds on to us.
    std::visit([](auto& out) { out.close(); }, out_);
    drop_what_waits();
    flows_.begin_file();
    const std::lock_guard lock(mutex_);
    secrets_.clear();
    std::string().swap(new_secrets_);
    return ended;
}

/// Whatever became of the disk: the last words are short, and no half of them stays.
void Capture::write_last(CaptureEnd ended) noexcept {
    if (ended == CaptureEnd::removed || ended == CaptureEnd::disk) return;
    // Without its beginning, they would be no file.
    if (std::visit([](const auto& out) { return out.is_empty(); }, out_)) return;
    try {
        protocol::Buffer last;
        name_outlived(last);
        end_file(last, false);
        flush(last);
    } catch (const std::exception&) {
        // The file is whole without them.
    }
}

/// As many of those whose login has not ended as there is room for.
void Capture::name_outlived(protocol::Buffer& chunk) {
    auto* const files = std::get_if<CaptureFiles>(&out_);
    const std::lock_guard lock(mutex_);
    for (const auto& [session, record] : logins_) {
        const protocol::Buffer entry = absence_entry(record, protocol::Absence::login_outlived, id_);
        const std::size_t size = chunk.size() + entry.size();
        if (size > max_last_entries || (files && files->room_for(size) != CaptureFiles::Room::here)) return;
        chunk.insert(chunk.end(), entry.begin(), entry.end());
    }
}

Steady::time_point Capture::deadline() const noexcept {
    const std::int64_t lasts = lasts_;
    return lasts == for_ever ? Steady::time_point::max() : began_ + std::chrono::milliseconds(lasts);
}

/// When the thread has something to do although nothing comes.
Steady::time_point Capture::due() const {
    const auto next = Steady::now() + look_interval;
    return std::min(next, deadline());
}

/// Of what waits; not before it is over.
Steady::time_point Capture::given_up() const noexcept {
    const std::int64_t at = given_up_;
    const auto last = deadline();
    const auto by_time = last == Steady::time_point::max() ? last : last + drain_;
    return at == for_ever ? by_time : std::min(by_time, began_ + std::chrono::milliseconds(at));
}

void Capture::write_all() {
    protocol::Buffer chunk;
    begin_file(chunk);
    flush(chunk);
    for (;;) {
        // Together: a thread that is woken for each packet costs more than the packets.
        BoundedQueue<CaptureItem>::Batch batch = queue_.take(due(), gathering);
        write_batch(batch, chunk);
        flush(chunk);
        if (batch.closed) return;
        if (Steady::now() >= deadline()) end(CaptureEnd::time);  // what came until now is in the next batch
        std::visit([](auto& out) { out.look(); }, out_);
    }
}

/// What is not written of it is dropped, and counted, also when this throws.
void Capture::write_batch(BoundedQueue<CaptureItem>::Batch& batch, protocol::Buffer& chunk) {
    try {
        for (CaptureItem& item : batch.items) {
            if (!full_ && Steady::now() >= given_up()) {
                full_ = true;
                why_not_all_ = "what was not written in time after its end is dropped";
            }
            // What came after the time that was asked for, because the disk was late, as well.
            if (full_ || item.came > deadline()) {
                drop(item);
                continue;
            }
            take(item, chunk);
            item = {};
            if (!max_size_ || written() + chunk.size() < *max_size_) continue;
            full_ = true;
            end(CaptureEnd::size);
        }
    } catch (...) {
        drop_all(batch);
        throw;
    }
}

void Capture::drop(CaptureItem& item) noexcept {
    if (item.packet) {
        count_dropped(*item.packet);
    } else if (!item.blocks.empty()) {
        ++entries_dropped_;
    }
    item = {};
}

void Capture::drop_all(BoundedQueue<CaptureItem>::Batch& batch) noexcept {
    for (CaptureItem& item : batch.items) drop(item);
}

void Capture::drop_what_waits() noexcept {
    try {
        // What comes meanwhile as well; and the queue is told that there is nothing left of it.
        for (int i = 0; i < 2; ++i) {
            BoundedQueue<CaptureItem>::Batch batch = queue_.take(Steady::now());
            drop_all(batch);
        }
    } catch (const std::exception&) {
        // It goes with us.
    }
}

}  // namespace proxy
