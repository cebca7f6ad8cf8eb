// Everybody who is to be told of something: one AlertSender for each [[alert]].
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "proxy/alert/alert_sender.hpp"

namespace proxy {

/// From any thread; nothing here waits for I/O, but for the end.
class Alerts {
   public:
    /// `folder`: where messages are kept until they are sent. `proxy`: who sends.
    Alerts(std::string folder, std::string proxy) : folder_(std::move(folder)), proxy_(std::move(proxy)) {}
    /// Waits a little longer than AlertSender::farewell, for all together.
    ~Alerts();

    /// What these need and is not there yet: threads, which tell nothing so far. Throws when one
    /// cannot be started; then, or when nobody uses them, nothing has changed.
    using Prepared = std::map<std::string, std::unique_ptr<AlertSender>>;
    Prepared prepare(const std::vector<std::shared_ptr<const AlertRoute>>& routes) const;
    /// These are told from now on; one of the same name goes on with what waits. `fresh`: prepared
    /// for the same.
    void use(const std::vector<std::shared_ptr<const AlertRoute>>& routes, Prepared fresh) noexcept;
    void notice(const Event& event) noexcept;

    /// By name; those of a former configuration go on being counted.
    std::map<std::string, AlertNumbers> numbers() const;

   private:
    const std::string folder_;
    const std::string proxy_;
    mutable std::mutex mutex_;
    std::map<std::string, std::unique_ptr<AlertSender>> senders_;
};

}  // namespace proxy
