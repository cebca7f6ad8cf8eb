// [auth] scram = "terminate": what users are told who have no SCRAM secret in users_file, because
// there is none, because they have a password in clear, or because they are not there at all.
// Nobody may learn which (PostgreSQL's mock authentication, src/backend/libpq/auth-scram.c), and
// nothing of it may come from users_file: a salt is sent to any stranger, who could then try
// contents of the file at leisure.
#pragma once

#include <string>
#include <vector>

#include "config/users.hpp"
#include "protocol/scram.hpp"
#include "tls/authority.hpp"

namespace proxy {

/// Where what outlives the process is kept.
struct StateDir {
    std::string path;
    bool writable = true;  ///< false: whoever asks leaves no traces
    tls::WithoutAuthority without_authority = tls::WithoutAuthority::make_one;
};

struct MockSalts {
    protocol::ScramKey key;
    std::size_t salt_size = 16;  ///< as PostgreSQL's
    unsigned iterations = protocol::default_scram_iterations;

    /// Always the same for the same key and name.
    protocol::ScramSalt of(const std::string& name) const;
};

/// The key is that of the configured file, else one of the state directory, which is made now if
/// there is none. Where none can be kept, it lasts as long as the process, and a warning says so.
/// Size and iterations are what most secrets in `users` have.
MockSalts load_mock_salts(const config::Auth& settings, const config::Users& users, const StateDir& state_dir,
                          std::vector<config::Diagnostic>& errors, std::vector<config::Diagnostic>& warnings);

/// About secrets that cost much to check, and those by whose iteration count a stranger tells that
/// there is such a user.
void warn_about_secrets(const config::Users& users, const config::File& file,
                        std::vector<config::Diagnostic>& warnings);

}  // namespace proxy
