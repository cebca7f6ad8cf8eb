#include "config/passfile.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace config {
namespace {

/// More than any has: it is read into memory.
constexpr std::size_t max_passfile = std::size_t{16} << 20;

/// Takes a field and its colon off the front of `line`, if it is `wanted` or "*".
bool take_field(std::string_view& line, std::string_view wanted) {
    if (line.starts_with("*:")) {
        line.remove_prefix(2);
        return true;
    }
    // A colon that stands for itself need not be escaped where there is no doubt, as in "::1".
    for (; !line.empty(); line.remove_prefix(1), wanted.remove_prefix(1)) {
        const bool ends = line.front() == ':' && wanted.empty();
        if (ends) break;
        if (line.front() == '\\') line.remove_prefix(1);
        if (line.empty() || wanted.empty() || line.front() != wanted.front()) return false;
    }
    if (line.empty()) return false;
    line.remove_prefix(1);
    return true;
}

std::string unescaped_field(std::string_view rest) {
    std::string out;
    for (std::size_t i = 0; i < rest.size() && rest[i] != ':'; ++i) {
        if (rest[i] == '\\' && i + 1 < rest.size()) ++i;
        out += rest[i];
    }
    return out;
}

}  // namespace

std::string line_for(const PasswordFor& wanted) {
    const auto escaped = [](const std::string& field) {
        std::string out;
        for (const char c : field) out += c == ':' || c == '\\' ? std::string("\\") + c : std::string(1, c);
        return out;
    };
    return escaped(wanted.host) + ":" + std::to_string(wanted.port) + ":" + escaped(wanted.database) + ":" +
           escaped(wanted.user);
}

std::string find_password(std::string_view file, const PasswordFor& wanted) {
    const std::string port = std::to_string(wanted.port);
    if (wanted.database.empty() || wanted.user.empty()) return {};
    while (!file.empty()) {
        std::string_view line = file.substr(0, file.find('\n'));
        file.remove_prefix(std::min(line.size() + 1, file.size()));
        while (line.ends_with('\r')) line.remove_suffix(1);
        if (line.empty() || line.starts_with('#')) continue;
        const bool matches = take_field(line, wanted.host) && take_field(line, port) &&
                             take_field(line, wanted.database) && take_field(line, wanted.user);
        if (matches) return unescaped_field(line);
    }
    return {};
}

Passfile read_passfile(const std::string& path) {
    const auto unused = [&](const std::string& why) {
        return Passfile{.text = {}, .warning = "password file \"" + path + "\" " + why};
    };
    // O_NONBLOCK: a FIFO nobody writes to is not waited for.
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0 && errno == ENOENT) return {};
    if (file < 0) return unused(std::string("cannot be read: ") + std::strerror(errno));
    struct stat facts {};
    Passfile out;
    if (::fstat(file, &facts) != 0 || !S_ISREG(facts.st_mode)) {
        out = unused("is not a plain file");
    } else if ((facts.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        out = unused("has group or world access; permissions should be u=rw (0600) or less");
    } else if (static_cast<std::size_t>(facts.st_size) > max_passfile) {
        out = unused("is larger than 16 MiB");
    } else {
        out.text.resize(static_cast<std::size_t>(facts.st_size));
        const ssize_t size = ::read(file, out.text.data(), out.text.size());
        out.text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
        if (size < 0) out = unused(std::string("cannot be read: ") + std::strerror(errno));
    }
    ::close(file);
    return out;
}

}  // namespace config
