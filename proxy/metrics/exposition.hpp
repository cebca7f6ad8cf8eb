// Metrics as text: Prometheus' own format (0.0.4), and OpenMetrics 1.0, which has exemplars. Pure.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "proxy/metrics/histogram.hpp"
#include "proxy/metrics/metric.hpp"

namespace proxy {

class Exposition {
   public:
    enum class Format { text, openmetrics };

    explicit Exposition(Format format) : format_(format) {}

    using Labels = std::initializer_list<std::string_view>;

    /// Its samples follow. Each metric once, in any order.
    void begin(Metric metric);
    /// Of the metric begun last; `labels`: as many values as it has labels, in that order.
    void sample(Labels labels, std::uint64_t value) { sample(labels, std::to_string(value)); }
    void sample(Labels labels, double value);
    void sample(Labels labels, const Histogram& histogram);

    std::string finish() &&;

    static std::string_view content_type(Format format) noexcept;

   private:
    void sample(Labels labels, const std::string& value);
    std::string series(std::string_view suffix, Labels labels, std::string_view le = {}) const;

    const Format format_;
    const MetricInfo* metric_ = nullptr;
    std::string text_;
};

/// Which format whoever sends this Accept header prefers (RFC 9110, 12.5.1); empty: it sent none.
Exposition::Format accepted_format(std::string_view accept);

}  // namespace proxy
