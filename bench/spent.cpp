#include "bench/spent.hpp"

namespace bench {
namespace {

std::optional<double> process_cpu(const Subject& subject) {
    return subject.process ? std::optional(subject.process->cpu_seconds()) : std::nullopt;
}

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

SpentMeter::SpentMeter(const Subject& subject)
    : subject_(subject), process_cpu_(process_cpu(subject)), own_cpu_(own_cpu_seconds()), begin_(Clock::now()) {}

Spent SpentMeter::spent() const {
    Spent spent{.seconds = seconds(Clock::now() - begin_), .process_cpu = std::nullopt, .own_cpu = own_cpu_seconds() - own_cpu_};
    if (process_cpu_) spent.process_cpu = process_cpu(subject_).value() - *process_cpu_;
    return spent;
}

}  // namespace bench
