// The parts of the table that stand below the clients, and what they have in common with it.
#pragma once

#include "proxy/report/report.hpp"
#include "proxy/report/report_layout.hpp"

namespace proxy::report {

/// "812", "12.3k", "4.1M".
std::string short_number(std::uint64_t number);

/// "10.0.0.1", "127.0.0.1 java". The user of the operating system where the executable is not
/// known, or where it is asked for.
std::string source(const ClientIdentity& who, bool with_user);

/// "billing@orders".
std::string names(const ClientIdentity& who);
Cell names(const ReportClient& client, const Fingerprints& fingerprints);

bool has_possible(const ReportClient& client);
bool has_unreadable(const ReportClient& client);

// Each is empty when there is nothing to say.
std::string failures_of_several(const Report& report, const Layout& layout);
std::string what_people_said(const Report& report, const Layout& layout);
/// Of those that cannot connect or log in, what failed last.
std::string last_failures(const Report& report, const Layout& layout);
/// Whose TLS ends at a load balancer.
std::string behind_fronts(const Report& report, const Layout& layout);
std::string not_probed(const Report& report, const Layout& layout);
/// Of those that fall back as far as anybody knows.
std::string inferred_fallbacks(const Report& report, const Layout& layout);
std::string comparison(const Report& report, const Layout& layout);
std::string certificates(const Report& report, const TableOptions& options);
/// Only of what is there to be explained.
std::string explanations(const Report& report, const Layout& layout);

}  // namespace proxy::report
