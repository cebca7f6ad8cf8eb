#include "proxy/route/mock_salts.hpp"

#include <algorithm>
#include <map>
#include <random>
#include <utility>

#include "config/file.hpp"
#include "proxy/route/own_file.hpp"
#include "tls/scram_crypto.hpp"

namespace proxy {
namespace {

constexpr std::size_t nonce_size = 32;
/// Some 7 ms of CPU for each wrong password, five times as much as PostgreSQL's default.
constexpr unsigned costly_iterations = 20'000;

protocol::Buffer random_nonce() {
    std::random_device device;
    protocol::Buffer nonce(nonce_size);
    std::generate(nonce.begin(), nonce.end(), [&] { return static_cast<std::uint8_t>(device()); });
    return nonce;
}

/// Where no file can be kept: the same for every reload.
const protocol::Buffer& nonce_of_this_process() {
    static const protocol::Buffer nonce = random_nonce();
    return nonce;
}

protocol::Buffer configured_nonce(const config::File& file, std::vector<config::Diagnostic>& errors) {
    auto nonce = config::read_file(file, config::FileKind::secret, errors);
    if (!nonce) return {};
    if (nonce->size() < nonce_size) {
        errors.push_back({file.origin, config::quoted(file, config::FileKind::secret) +
                                           " has fewer than 32 bytes: make one with openssl rand -out FILE 32"});
    }
    return std::move(*nonce);
}

/// The key of the state directory.
protocol::Buffer kept_nonce(const config::Auth& settings, const StateDir& state_dir,
                            std::vector<config::Diagnostic>& warnings) {
    const std::string path = state_dir.path + "/mock_authentication_nonce";
    const auto warn = [&](const std::string& what) { warnings.push_back({settings.users_file.origin, what}); };
    OwnFile kept = read_own_file(path, nonce_size);
    if (kept.contents.empty() && state_dir.writable) {
        if (kept.exists) warn(path + " is damaged: another is made, and the salts of users change once");
        kept = keep_own_file(path, random_nonce());
    }
    if (!kept.tightened.empty()) warn(kept.tightened);
    if (!kept.contents.empty()) return std::move(kept.contents);
    if (state_dir.writable) {
        warn("the secret of mock authentication cannot be kept in " + path + ": " + kept.fault +
             ". Until the next restart another is used; then strangers can tell which users exist, by salts that "
             "change. Make runtime.state_dir writable, or set auth.mock_authentication_nonce_file");
    }
    return nonce_of_this_process();
}

/// Salt size and iterations of the most secrets; of equally many, the smallest.
std::pair<std::size_t, unsigned> most_frequent(const config::Users& users) {
    std::map<std::pair<std::size_t, unsigned>, std::size_t> found;
    for (const auto& [name, user] : users) {
        if (user.secret) ++found[{user.secret->salt.salt.size(), user.secret->salt.iterations}];
    }
    const auto most =
        std::max_element(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
    const MockSalts otherwise;
    return most == found.end() ? std::pair{otherwise.salt_size, otherwise.iterations} : most->first;
}

}  // namespace

protocol::ScramSalt MockSalts::of(const std::string& name) const {
    const protocol::ScramKey digest = tls::scram_crypto().hmac_sha256(key, protocol::as_bytes(name));
    const auto size = static_cast<std::ptrdiff_t>(std::min(salt_size, digest.size()));
    return {.salt = {digest.begin(), digest.begin() + size}, .iterations = iterations};
}

MockSalts load_mock_salts(const config::Auth& settings, const config::Users& users, const StateDir& state_dir,
                          std::vector<config::Diagnostic>& errors, std::vector<config::Diagnostic>& warnings) {
    const config::File& configured = settings.mock_authentication_nonce_file;
    const protocol::Buffer nonce =
        configured ? configured_nonce(configured, errors) : kept_nonce(settings, state_dir, warnings);
    const auto [salt_size, iterations] = most_frequent(users);
    return {.key = tls::scram_crypto().sha256(nonce), .salt_size = salt_size, .iterations = iterations};
}

void warn_about_secrets(const config::Users& users, const config::File& file,
                        std::vector<config::Diagnostic>& warnings) {
    const unsigned usual = most_frequent(users).second;
    std::size_t unusual = 0;
    std::size_t costly = 0;
    unsigned most = 0;
    for (const auto& [name, user] : users) {
        if (!user.secret) continue;
        const unsigned iterations = user.secret->salt.iterations;
        unusual += iterations != usual ? 1 : 0;
        costly += iterations > costly_iterations ? 1 : 0;
        most = std::max(most, iterations);
    }
    const auto warn = [&](const std::string& what) { warnings.push_back({file.origin, what}); };
    if (unusual > 0) {
        warn("SCRAM secrets with other than " + std::to_string(usual) + " iterations, which most have: " +
             std::to_string(unusual) + ". Strangers can tell that those users exist");
    }
    if (costly > 0) {
        warn("SCRAM secrets with more than " + std::to_string(costly_iterations) +
             " iterations: " + std::to_string(costly) + ", the most has " + std::to_string(most) +
             ". Every wrong password costs as much, whoever sends it");
    }
}

}  // namespace proxy
