#include "proxy/server/client_census.hpp"

#include <spdlog/spdlog.h>

#include <condition_variable>
#include <mutex>

#include "proxy/inventory/inventory_reader.hpp"
#include "proxy/report/report.hpp"

namespace proxy {
namespace {

/// Of its time a census takes the twentieth part at most.
constexpr int share_of_census = 20;
/// A disk that hangs does not hold up the end.
constexpr std::chrono::seconds patience_with_census{1};

}  // namespace

/// What the thread works with.
struct ClientCensus::Counting {
    explicit Counting(std::string path) : inventory(std::move(path)) {}

    void run() {
        for (;;) {
            const auto began = std::chrono::steady_clock::now();
            auto counted = std::make_shared<const Numbers>();
            try {
                counted = std::make_shared<const Numbers>(count_clients(inventory, std::chrono::system_clock::now()));
            } catch (const std::exception& error) {
                spdlog::debug("clients cannot be counted: {}", error.what());
            }
            const auto pause = std::max<std::chrono::steady_clock::duration>(
                interval, (std::chrono::steady_clock::now() - began) * share_of_census);
            std::unique_lock lock(mutex);
            numbers = std::move(counted);
            if (ended.wait_for(lock, pause, [this] { return over; })) return;
        }
    }

    const std::string inventory;
    mutable std::mutex mutex;
    std::condition_variable ended;
    bool over = false;
    std::shared_ptr<const Numbers> numbers = std::make_shared<const Numbers>();
};

ClientCensus::ClientCensus(std::string inventory)
    : counting_(std::make_shared<Counting>(std::move(inventory))), thread_([counting = counting_] {
          try {
              counting->run();
          } catch (const std::exception& error) {
              spdlog::error("clients are not counted any more: {}", error.what());
          }
      }) {}

ClientCensus::~ClientCensus() {
    {
        const std::lock_guard lock(counting_->mutex);
        counting_->over = true;
    }
    counting_->ended.notify_all();
    thread_.end_within(patience_with_census);
}

std::shared_ptr<const ClientCensus::Numbers> ClientCensus::numbers() const {
    const std::lock_guard lock(counting_->mutex);
    return counting_->numbers;
}

ClientCensus::Numbers count_clients(const std::string& inventory, std::chrono::system_clock::time_point now) {
    const report::ReportFilter filter{.since = to_timestamp(now - ClientCensus::range), .now = to_timestamp(now)};
    const report::Report report = report::make_report(read_inventories(inventory), filter);
    ClientCensus::Numbers numbers;
    for (const report::ReportClient& client : report.clients) {
        ClientNumbers& upstream = numbers[client.row.who.upstream];
        switch (report::state_of(client)) {
            case report::State::in_clear:
            case report::State::falls_back:
            case report::State::mixed: ++upstream.plain; break;
            case report::State::not_verifying: ++upstream.tls_not_verifying; break;
            case report::State::verifying: ++upstream.verifying; break;
            case report::State::unknown: ++upstream.unknown; break;
        }
        if (client.breaks_on_ca_rotation != protocol::Readiness::no) ++upstream.not_ready;
    }
    return numbers;
}

}  // namespace proxy
