#include "proxy/record/own_thread.hpp"

#include <utility>

namespace proxy {
namespace {

std::atomic<int> works_left{0};

}  // namespace

OwnThread::OwnThread(std::function<void()> work) {
    std::packaged_task<void()> task(std::move(work));
    done_ = task.get_future();
    thread_ = std::thread([task = std::move(task), stage = stage_]() mutable {
        task();
        if (stage->exchange(Stage::ended) == Stage::left_behind) --works_left;
    });
}

bool OwnThread::end_within(std::chrono::milliseconds patience) {
    if (!thread_.joinable()) return true;
    if (done_.wait_for(patience) == std::future_status::ready) {
        thread_.join();
        return true;
    }
    ++works_left;
    if (stage_->exchange(Stage::left_behind) == Stage::ended) --works_left;
    thread_.detach();
    return false;
}

bool OwnThread::left_behind() noexcept { return works_left > 0; }

}  // namespace proxy
