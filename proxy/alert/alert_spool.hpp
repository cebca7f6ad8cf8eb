// Messages on the disk until they are sent, one file each: they outlive the process. A file is
// written beside its name and then given it, so none is ever half there. One thread's.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "proxy/alert/alert_message.hpp"

namespace proxy {

class AlertSpool {
   public:
    /// Some 160 KiB is the longest: ten audit lines.
    static constexpr std::size_t max_messages = 256;

    /// `folder`: made, with its parents but the state directory, when there is something to keep.
    explicit AlertSpool(std::string folder) : folder_(std::move(folder)) {}

    struct Found {
        std::vector<AlertMessage> messages;  ///< in the order of time
        std::size_t damaged = 0;             ///< read whole, no messages, and removed
        std::size_t unread = 0;              ///< files that cannot be read now; they stay
        std::size_t left = 0;                ///< files beyond `room`; they stay
        std::string error{};                 ///< set: why the folder, or one of `unread`, cannot be read
    };
    /// What is there from before, at most `room` messages, the oldest files first; those that
    /// `is_known` says yes to are left out. Throws std::bad_alloc, and has removed nothing then.
    Found load(std::size_t room = max_messages, const std::function<bool(const std::string& id)>& is_known = {});
    /// In the place of what was kept of that id. Empty: it is there for good; otherwise why not.
    std::string keep(const AlertMessage& message);
    void forget(const std::string& id);

   private:
    std::string path_of(const std::string& id) const { return folder_ + "/" + id + ".json"; }

    const std::string folder_;
    bool made_ = false;
};

}  // namespace proxy
