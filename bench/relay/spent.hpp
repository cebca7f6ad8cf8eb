// What a stretch of time cost a target's processes, and the load generator itself: whichever used
// all its cores was the bottleneck.
#pragma once

#include "bench/relay/scenario.hpp"

namespace bench {

struct Spent {
    double seconds = 0;
    std::optional<double> process_cpu;           ///< nullopt: the target's processes are not known
    std::optional<double> busiest_thread_share;  ///< nullopt: so, or they did nothing
    double own_cpu = 0;

    /// Every scenario's last metrics, with busiest_thread_share.
    std::optional<double> process_cores() const {
        return process_cpu ? std::optional(*process_cpu / seconds) : std::nullopt;
    }
    double own_cores() const { return own_cpu / seconds; }
};

class SpentMeter {
   public:
    /// Begins now.
    explicit SpentMeter(const Subject& subject);
    Spent spent() const;

   private:
    const Subject& subject_;
    std::optional<double> process_cpu_;
    ThreadTicks thread_ticks_;
    double own_cpu_;
    Clock::time_point begin_;
};

/// Until the target's processes have finished what connections that came or went gave them to do,
/// which is no round trip's cost. Not longer than some seconds: a process may have other work.
void wait_until_quiet(const Subject& subject);

inline Metric process_cores_metric() {
    return {.key = "process_cores", .name = "target cores", .digits = 2, .compared = false};
}
inline Metric busiest_thread_metric() {
    return {.key = "busiest_thread_share", .name = "busiest thread share", .digits = 2, .compared = false};
}
inline Metric own_cores_metric() {
    return {.key = "generator_cores", .name = "generator cores", .digits = 2, .compared = false};
}

}  // namespace bench
