// What is measured: "NAME=CONNINFO", with libpq's keyword/value connection strings (PostgreSQL
// docs, "Connection Strings").
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "config/config.hpp"
#include "protocol/sslmode.hpp"

namespace bench {

/// Keywords and their values.
using Settings = std::map<std::string, std::string, std::less<>>;

/// One server, proxy or path to compare.
struct Target {
    std::string name;
    std::string host;  ///< name, address, or the folder of a UNIX-domain socket; what a certificate is checked against
    std::string hostaddr;  ///< where to connect to instead, without a look-up; may be empty
    std::uint16_t port = 5432;
    std::string user;
    std::string password;
    std::string dbname;
    protocol::SslMode sslmode = protocol::SslMode::verify_full;
    config::SslNegotiation sslnegotiation = config::SslNegotiation::postgres;
    std::string sslrootcert;  ///< PEM file or "system"; empty: nothing is verified
    std::string application_name;
    std::chrono::seconds connect_timeout{10};
    Settings settings;  ///< all of the above as keywords, for libpq

    bool is_unix_socket() const noexcept { return hostaddr.empty() && host.starts_with('/'); }
    /// As in libpq, sslmode means nothing on a UNIX-domain socket.
    bool encrypts() const noexcept { return sslmode != protocol::SslMode::disable && !is_unix_socket(); }
};

/// libpq's syntax and quoting. Throws std::invalid_argument; its text never holds a value, which
/// may be a password.
Settings parse_conninfo(std::string_view text);

/// `defaults` hold where the conninfo is silent. Throws std::invalid_argument that says what is
/// wrong and what would be right.
Target parse_target(std::string_view text, const Settings& defaults = {});

/// "127.0.0.1:5432", "[::1]:5432", "/run/postgresql/.s.PGSQL.5432".
std::string address_text(const Target& target);

}  // namespace bench
