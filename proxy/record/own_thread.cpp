#include "proxy/record/own_thread.hpp"

#include <atomic>
#include <utility>

namespace proxy {
namespace {

std::atomic<bool> work_is_left{false};

}  // namespace

OwnThread::OwnThread(std::function<void()> work) {
    std::packaged_task<void()> task(std::move(work));
    done_ = task.get_future();
    thread_ = std::thread(std::move(task));
}

bool OwnThread::end_within(std::chrono::milliseconds patience) {
    if (!thread_.joinable()) return true;
    if (done_.wait_for(patience) == std::future_status::ready) {
        thread_.join();
        return true;
    }
    thread_.detach();
    work_is_left = true;
    return false;
}

bool OwnThread::left_behind() noexcept { return work_is_left; }

}  // namespace proxy
