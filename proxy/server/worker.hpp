// One thread with its own io_context and the sessions on it. A session never changes thread, so
// nothing in it is locked.
#pragma once

#include <atomic>
#include <exception>
#include <memory>
#include <thread>
#include <unordered_map>

#include "proxy/metrics/meters.hpp"
#include "proxy/metrics/named_slots.hpp"
#include "proxy/server/admission.hpp"
#include "proxy/server/watchdog.hpp"
#include "proxy/session/session.hpp"
#include "tls/asio.hpp"

namespace proxy {

class Worker {
   public:
    explicit Worker(Services& services);
    /// Ends what is left and joins the thread.
    ~Worker();

    /// From any thread: runs a session for `fd`, which it closes, unless this throws. `place` is
    /// freed when it is over.
    void run_session(int fd, int family, Accepted accepted, Admission::Place place);
    /// From any thread: keeps connections to these upstreams ready, and to no others.
    void prewarm(std::vector<std::shared_ptr<const UpstreamRoute>> upstreams);
    /// From any thread: sessions that are open join captures that have begun.
    void join_captures();
    /// From any thread: ends the sessions that are idle, outside of a transaction, and tells them
    /// why.
    void end_idle();
    /// From any thread: the same of those that are at this server, which is not what they want any
    /// more.
    void end_idle_at(std::string upstream, std::string address);
    /// From any thread: ends the session of that name, if it is relayed here.
    void end_session(std::string name, Reason reason);
    /// From any thread: ends every session.
    void abort_all(Reason reason);
    /// From the thread that accepts. False: what the thread was asked before is still not answered.
    bool answers() { return pulse_.answers(); }
    /// From any thread: asks this one whether it still comes round.
    Pulse pulse() { return Pulse(io_); }
    unsigned load() const noexcept { return load_.load(std::memory_order_relaxed); }
    /// From any thread: these listeners are told from now on, also before they have a session.
    void name_in_metrics(const std::vector<std::string>& listeners) {
        for (const std::string& name : listeners) relay_meters_.of(name);
    }
    /// By listener.
    const NamedSlots<RelayMeter>& relay_meters() const noexcept { return relay_meters_; }
    /// By upstream.
    const NamedSlots<PrewarmMeter>& prewarm_meters() const noexcept { return prewarm_.meters(); }

   private:
    struct LeaveLoad {
        void operator()(std::atomic<unsigned>* load) const noexcept { load->fetch_sub(1, std::memory_order_relaxed); }
    };
    /// What a session takes up, here and in the process, until this is destroyed or freed.
    struct Seat {
        Admission::Place place;
        std::unique_ptr<std::atomic<unsigned>, LeaveLoad> load;
        void free() noexcept {
            load.reset();
            place.free();
        }
    };
    struct Running {
        std::unique_ptr<Session> session;  ///< nullptr as long as drive() owns it: until it is relayed
        Seat seat;
    };

    void run();
    void begin(int fd, int family, Accepted accepted, Seat seat);
    tls::Awaitable<> drive(std::unique_ptr<Session> session, RelayMeter& meter, Seat seat);
    void relayed(Session* session);
    void failed(Session* session, const std::exception_ptr& failure);

    Services& services_;
    asio::io_context io_{1};
    asio::executor_work_guard<tls::Executor> keep_running_;
    Prewarm prewarm_;
    NamedSlots<RelayMeter> relay_meters_;
    std::unordered_map<Session*, Running> sessions_;
    std::atomic<unsigned> load_{0};
    Pulse pulse_{io_};
    std::thread thread_;
};

}  // namespace proxy
