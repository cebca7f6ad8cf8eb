#include "bench/relay/spent.hpp"

#include "bench/target/interrupt.hpp"

namespace bench {
namespace {

/// Looked at for so long at a time: 50 ticks of the kernel's counter.
constexpr std::chrono::milliseconds look{500};
/// A tick or two of them.
constexpr double quiet_cores = 0.05;
constexpr std::chrono::seconds longest_wait{10};

std::optional<double> process_cpu(const Subject& subject) {
    return subject.process ? std::optional(subject.process->cpu_seconds()) : std::nullopt;
}

ThreadTicks thread_ticks(const Subject& subject) {
    return subject.process ? subject.process->thread_ticks() : ThreadTicks();
}

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

SpentMeter::SpentMeter(const Subject& subject)
    : subject_(subject),
      process_cpu_(process_cpu(subject)),
      thread_ticks_(thread_ticks(subject)),
      own_cpu_(own_cpu_seconds()),
      begin_(Clock::now()) {}

Spent SpentMeter::spent() const {
    Spent spent{.seconds = seconds(Clock::now() - begin_),
                .process_cpu = std::nullopt,
                .busiest_thread_share = std::nullopt,
                .own_cpu = own_cpu_seconds() - own_cpu_};
    if (!process_cpu_) return spent;
    spent.process_cpu = process_cpu(subject_).value() - *process_cpu_;
    spent.busiest_thread_share = busiest_thread_share(thread_ticks_, thread_ticks(subject_));
    return spent;
}

void wait_until_quiet(const Subject& subject) {
    const auto deadline = Clock::now() + longest_wait;
    for (bool quiet = false; !quiet && !interrupted() && Clock::now() < deadline;) {
        const SpentMeter meter(subject);
        std::this_thread::sleep_for(look);
        quiet = meter.spent().process_cores().value_or(0) <= quiet_cores;
    }
}

}  // namespace bench
