#include "bench/replay/opening_of.hpp"

#include "bench/replay/passfile.hpp"

namespace bench::replay {
namespace {

bool was_encrypted(const CapturedSession& session) {
    return session.facts.ssl.value_or(false) || session.facts.failed == "tls_failed";
}

std::string password_places(const ReplayTarget& target, const PasswordFor& wanted) {
    const std::string file = target.passfile.empty() ? "--passfile" : target.passfile;
    return "password=... in the conninfo, a line of the password file (" + file + ") for " + line_for(wanted) +
           ", or PGPASSWORD";
}

}  // namespace

Opening opening_of(const ReplayTarget& target, const CapturedSession& session, const PlayRules& rules) {
    const Target& where = target.route->target();
    const SessionFacts& facts = session.facts;
    Opening opening;
    if (session.plan.startup) {
        const protocol::StartupMessage& captured = *session.plan.startup;
        protocol::StartupMessage startup{.version = captured.version, .parameters = {}};
        opening.user = target.names_user ? where.user : std::string(captured.find("user"));
        const auto add = [&](const char* name, std::string_view value) {
            if (!value.empty()) startup.parameters.emplace_back(name, value);
        };
        add("user", opening.user);
        add("database", target.names_database ? where.dbname : captured.database());
        add("application_name",
            target.names_application ? std::string_view(where.application_name) : captured.find("application_name"));
        add("options", captured.find("options"));
        for (const auto& [name, value] : captured.parameters) {
            const bool done = name == "user" || name == "database" || name == "application_name" || name == "options";
            if (!done) startup.parameters.emplace_back(name, value);
        }
        if (!rules.writes && !rules.openings) {
            // The last word: PostgreSQL takes parameters in their order, and after `options`.
            add("standard_conforming_strings", "on");
            add("default_transaction_read_only", "on");
        }
        opening.startup_message = protocol::serialize(startup);
        const std::string_view database = startup.find("database");
        const PasswordFor wanted = password_for(where, database, opening.user);
        opening.password = find_password(target.passwords, wanted);
        opening.password_places = password_places(target, wanted);
    }
    if (!rules.openings) return opening;
    opening.handshake_only = !session.plan.startup;
    opening.tls_version = facts.version;
    if (const auto groups = groups_of(target, session, rules)) {
        opening.groups = groups->list;
        opening.tls_lowest = session.offer->lowest;
        opening.tls_highest = session.offer->highest;
    }
    opening.server_name = facts.sni;
    if (facts.alpn) opening.alpn = !facts.alpn->empty();
    if (facts.negotiation.ends_with("direct")) opening.negotiation = config::SslNegotiation::direct;
    if (facts.negotiation.ends_with("sslrequest")) opening.negotiation = config::SslNegotiation::postgres;
    return opening;
}

std::optional<GroupsAgain> groups_of(const ReplayTarget& target, const CapturedSession& session,
                                     const PlayRules& rules) {
    const bool again = rules.openings && target.route->target().encrypts() && session.offer;
    if (!again) return std::nullopt;
    return groups_again(*session.offer, target.groups);
}

std::string cannot_open(const ReplayTarget& target, const CapturedSession& session, const PlayRules& rules) {
    if (!rules.openings) return session.plan.startup ? "" : "its TLS failed: that is played by --openings";
    const Target& where = target.route->target();
    const std::string sslmode(protocol::to_string(where.sslmode));
    if (was_encrypted(session) && !where.encrypts())
        return "was opened with TLS, and " + where.name + " has sslmode=disable";
    if (!was_encrypted(session) && where.encrypts())
        return "was opened in clear, and " + where.name + " has sslmode=" + sslmode;
    const auto groups = groups_of(target, session, rules);
    if (groups && groups->list.empty() && !session.offer->groups.empty())
        return "this OpenSSL has none of the TLS groups that it had offered";
    return {};
}

}  // namespace bench::replay
