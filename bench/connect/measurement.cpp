#include "bench/connect/measurement.hpp"

namespace bench {
namespace {

/// Texts may hold what differs every time; a report of more than so many helps nobody.
constexpr std::size_t max_error_texts = 50;

}  // namespace

void Measurement::record(const Phases& connection) {
    for (const Phase phase : all_phases) {
        if (connection[phase]) phases[phase].record(*connection[phase]);
    }
}

void Measurement::record_failure(const std::string& error) {
    const bool room = failures.size() < max_error_texts || failures.contains(error);
    ++failures[room ? error : "other errors"];
}

void Measurement::add(const Measurement& other) {
    for (const Phase phase : all_phases) phases[phase].add(other.phases[phase]);
    for (const auto& [error, count] : other.failures) failures[error] += count;
    unstarted += other.unstarted;
    elapsed += other.elapsed;
}

std::uint64_t Measurement::failed() const noexcept {
    std::uint64_t sum = 0;
    for (const auto& [error, count] : failures) sum += count;
    return sum;
}

double Measurement::rate() const noexcept {
    const double seconds = std::chrono::duration<double>(elapsed).count();
    return seconds > 0 ? static_cast<double>(connections()) / seconds : 0;
}

}  // namespace bench
