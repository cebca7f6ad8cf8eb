// What the parts of the report in HTML are made of, and the larger ones. Every text that a client,
// a server or a person wrote passes escaped().
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "proxy/report/report.hpp"

namespace proxy::report::html {

/// Fit for an element's text and for an attribute in quotation marks.
std::string escaped(std::string_view text);

std::string number(std::uint64_t value);
std::string cell(std::string_view text, std::string_view classes = "");
std::string number_cell(std::uint64_t value);
/// Shown to the minute, sorted by the microsecond.
std::string time_cell(Timestamp time);
std::string answer_cell(std::string_view word, std::string_view bad);

struct Heading {
    const char* title;
    const char* type = "text";  ///< or "number": how its data-value is compared
};

std::string head(const std::vector<Heading>& headings);

/// Tables of clients, those that were accepted in one of their own.
std::string clients(const Report& report);
/// Pictures of connections by mode and clients by mode, by day.
std::string charts(const Report& report);
/// What became of the clients of an older report.
std::string comparison(const Report& report);
std::string certificates(const Report& report);

}  // namespace proxy::report::html
