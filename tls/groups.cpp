#include "tls/groups.hpp"

#include <openssl/err.h>

#include <algorithm>
#include <array>
#include <new>
#include <stdexcept>

#include "tls/handshake.hpp"

namespace tls {
namespace {

constexpr unsigned long openssl_3_5 = 0x30500000UL;

/// OpenSSL has several names for one group; the first is ours.
constexpr std::array<std::array<std::string_view, 3>, 5> aliases{{{"P-256", "secp256r1", "prime256v1"},
                                                                  {"P-384", "secp384r1", "secp384r1"},
                                                                  {"P-521", "secp521r1", "secp521r1"},
                                                                  {"X25519", "x25519", "x25519"},
                                                                  {"X448", "x448", "x448"}}};

std::string_view our_name(std::string_view name) {
    for (const auto& names : aliases) {
        if (std::find(names.begin(), names.end(), name) != names.end()) return names.front();
    }
    return name;
}

bool openssl_has(const std::string& name) {
    static const SslCtxPtr context(SSL_CTX_new(TLS_client_method()));
    if (!context) throw std::bad_alloc();
    const SslPtr asked(SSL_new(context.get()));
    if (!asked) throw std::bad_alloc();
    const bool has = SSL_set1_groups_list(asked.get(), name.c_str()) == 1;
    ERR_clear_error();
    return has;
}

bool several_shares() { return OpenSSL_version_num() >= openssl_3_5; }

}  // namespace

Groups::Groups(std::string_view setting) {
    char before = ':';
    while (!setting.empty()) {
        const std::size_t end = std::min(setting.find_first_of(":/"), setting.size());
        std::string_view word = setting.substr(0, end);
        const char next = end < setting.size() ? setting[end] : ':';
        setting.remove_prefix(std::min(end + 1, setting.size()));
        const auto is_outside = [](char c) { return c == ' '; };
        while (!word.empty() && is_outside(word.front())) word.remove_prefix(1);
        while (!word.empty() && is_outside(word.back())) word.remove_suffix(1);
        bool optional = false;
        Group group{.name = {}, .before = before};
        for (; !word.empty() && (word.front() == '?' || word.front() == '*'); word.remove_prefix(1)) {
            optional = optional || word.front() == '?';
            group.share = group.share || word.front() == '*';
        }
        group.name = word;
        const bool usable = !word.empty() && openssl_has(group.name);
        if (!usable && !optional) {
            throw std::invalid_argument("\"" + group.name + "\" is no group of this OpenSSL; \"?" + group.name +
                                        "\" is left out where it is none");
        }
        before = next == '/' || (!usable && before == '/') ? '/' : ':';
        if (usable) groups_.push_back(std::move(group));
    }
    if (groups_.empty()) throw std::invalid_argument("this OpenSSL has none of these groups");
}

std::string Groups::for_server() const {
    std::string text;
    for (const Group& group : groups_) text += (text.empty() ? "" : ":") + group.name;
    return text;
}

std::string Groups::for_client() const { return list({}); }

std::string Groups::for_client_of(const std::string& group) const { return list(group); }

bool Groups::sends_share_of(const std::string& name) const {
    const auto is_it = [&](const Group& group) { return our_name(group.name) == name; };
    const auto found = std::find_if(groups_.begin(), groups_.end(), is_it);
    if (found == groups_.end()) return true;
    const auto shares = [](const Group& group) { return group.share; };
    const auto first = std::find_if(groups_.begin(), groups_.end(), shares);
    if (first == groups_.end()) return found == groups_.begin();
    return several_shares() ? found->share : found == first;
}

std::string Groups::list(const std::string& also_share) const {
    std::vector<Group> groups = groups_;
    const auto shares = [](const Group& group) { return group.share; };
    if (std::none_of(groups.begin(), groups.end(), shares)) groups.front().share = true;
    const auto also =
        std::find_if(groups.begin(), groups.end(), [&](const Group& g) { return our_name(g.name) == also_share; });
    std::string text;
    if (several_shares()) {
        if (also != groups.end()) also->share = true;
        for (const Group& group : groups) {
            if (!text.empty()) text += group.before;
            text += (group.share ? "*" : "") + group.name;
        }
        return text;
    }
    // The share is the first one's.
    const auto first = also != groups.end() ? also : std::find_if(groups.begin(), groups.end(), shares);
    std::rotate(groups.begin(), first, first + 1);
    for (const Group& group : groups) text += (text.empty() ? "" : ":") + group.name;
    return text;
}

std::string group_of(SSL* ssl) {
    const long id = SSL_get_negotiated_group(ssl);
    if (id == NID_undef) return {};
    const char* const name = SSL_group_to_name(ssl, static_cast<int>(id));
    ERR_clear_error();
    return name ? std::string(our_name(name)) : "group " + std::to_string(id & 0xffff);
}

}  // namespace tls
