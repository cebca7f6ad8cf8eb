// What people call a certificate authority: of its subject, as RFC 2253 writes it, the CN.
#include <set>

#include "proxy/report/report.hpp"

namespace proxy::report {
namespace {

int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/// Where an unescaped one of `ends` is; the length when there is none.
std::size_t find_unescaped(std::string_view text, std::string_view ends) {
    bool quoted = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\') {
            ++i;
        } else if (text[i] == '"') {
            quoted = !quoted;
        } else if (!quoted && ends.find(text[i]) != std::string_view::npos) {
            return i;
        }
    }
    return text.size();
}

/// RFC 2253, 2.4: a backslash before a special character, or before two hexadecimal digits.
std::string unescaped(std::string_view value) {
    std::string out;
    for (std::size_t i = 0; i < value.size(); ++i) {
        if (value[i] == '"') continue;
        if (value[i] != '\\' || i + 1 == value.size()) {
            out += value[i];
        } else if (i + 2 < value.size() && hex_value(value[i + 1]) >= 0 && hex_value(value[i + 2]) >= 0) {
            out += static_cast<char>(hex_value(value[i + 1]) * 16 + hex_value(value[i + 2]));
            i += 2;
        } else {
            out += value[++i];
        }
    }
    return out;
}

}  // namespace

std::string common_name(std::string_view subject) {
    for (std::string_view rest = subject; !rest.empty();) {
        const std::size_t end = find_unescaped(rest, ",+");
        std::string_view part = rest.substr(0, end);
        while (part.starts_with(' ')) part.remove_prefix(1);
        if (part.starts_with("CN=") && part.size() > 3) return unescaped(part.substr(3));
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return std::string(subject);
}

std::map<std::string, std::string> short_names(const std::vector<std::string>& subjects) {
    std::map<std::string, std::set<std::string>> by_name;
    for (const std::string& subject : subjects) by_name[common_name(subject)].insert(subject);
    std::map<std::string, std::string> out;
    for (const auto& [name, all] : by_name) {
        for (const std::string& subject : all) out[subject] = all.size() == 1 ? name : subject;
    }
    return out;
}

AnchorKeys::AnchorKeys(const Report& report) {
    for (const ReportCertificate& one : report.upstream_certificates) {
        if (!one.row.anchor_key_sha256.empty()) by_name_[one.row.anchor].insert(one.row.anchor_key_sha256);
    }
}

std::string AnchorKeys::of(const UpstreamCertificateRow& row) const {
    constexpr std::size_t enough = 8;  // to see that two differ
    const auto keys = by_name_.find(row.anchor);
    if (row.anchor_key_sha256.empty() || keys == by_name_.end() || keys->second.size() < 2) return "";
    return "key " + row.anchor_key_sha256.substr(0, enough);
}

}  // namespace proxy::report
