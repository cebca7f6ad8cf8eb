// What the key table says about a whole configuration: the files that it names, and the changes
// that wait for a restart.
#include "config/inspect.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "config/keys.hpp"
#include "support/catch.hpp"

namespace {

using namespace config;
using namespace std::chrono_literals;

using Names = std::vector<std::string>;

template <class S>
bool waits_for_restart() {
    const auto& keys = section<S>().keys;
    return std::any_of(keys.begin(), keys.end(),
                       [](const Key<S>& key) { return key.takes_effect == TakesEffect::at_restart; });
}

TEST_CASE("inspect: nothing has changed when nothing has") { CHECK(changes_for_restart({}, {}).empty()); }

TEST_CASE("inspect: what only a restart takes up is named by its key") {
    Config loaded;
    loaded.runtime.threads = 3;
    loaded.runtime.state_dir = "/elsewhere";
    loaded.audit.file = "other.jsonl";
    loaded.audit.chain = true;
    loaded.audit.inventory = "other.db";
    loaded.audit.process_owner = false;
    loaded.admin.console = "";
    CHECK(changes_for_restart({}, loaded) == Names{"runtime.threads", "runtime.state_dir", "audit.file", "audit.chain",
                                                   "audit.inventory", "audit.process_owner", "admin.console"});
}

TEST_CASE("inspect: what a reload takes up waits for no restart") {
    Config loaded;
    loaded.log = {.level = LogLevel::trace, .format = LogFormat::json, .file = "/log"};
    loaded.runtime.max_connections = 1;
    loaded.runtime.drain_timeout = 1ms;
    loaded.audit.inventory_retention = 1ms;
    loaded.audit.probe.enabled = true;
    loaded.admin.console_uids = {1};
    loaded.listeners.emplace_back().listen.emplace_back();
    loaded.upstreams.emplace_back();
    CHECK(changes_for_restart({}, loaded).empty());
}

TEST_CASE("inspect: listeners and upstreams come and go with a reload, so no key of theirs waits for a restart") {
    CHECK_FALSE(waits_for_restart<Listener>());
    CHECK_FALSE(waits_for_restart<ListenerTls>());
    CHECK_FALSE(waits_for_restart<Certificate>());
    CHECK_FALSE(waits_for_restart<Upstream>());
}

TEST_CASE("inspect: every file that a key names is found, once, and \"system\" is none") {
    const auto file = [](const char* path) { return File{.path = path, .origin = {}}; };
    Config config;
    Listener& listener = config.listeners.emplace_back();
    listener.tls.cert_file = file("/a.crt");
    listener.tls.key_file = file("/a.key");
    listener.tls.ca_file = file("/clients.crt");
    listener.tls.ssl_crl_file = file("/clients.crl");
    listener.tls.certificate.push_back({.cert_file = file("/b.crt"), .key_file = file("/b.key"), .server_names = {}});
    Upstream& upstream = config.upstreams.emplace_back();
    upstream.sslrootcert = {file("system"), file("/roots.pem")};
    upstream.sslrootcert_candidate = {file("/roots.pem"), file("/next.pem")};
    upstream.sslcrl = file("/roots.crl");
    upstream.sslcert = file("/us.crt");
    upstream.sslkey = file("/us.key");
    config.auth.users_file = file("/users.txt");
    config.auth.mock_authentication_nonce_file = file("/nonce");
    config.audit.probe.candidate_cert_file = file("/candidate.crt");
    config.audit.probe.candidate_key_file = file("/candidate.key");
    CHECK(files_of(config) == Names{"/a.crt", "/a.key", "/b.crt", "/b.key", "/candidate.crt", "/candidate.key",
                                    "/clients.crl", "/clients.crt", "/next.pem", "/nonce", "/roots.crl", "/roots.pem",
                                    "/us.crt", "/us.key", "/users.txt"});
}

}  // namespace
