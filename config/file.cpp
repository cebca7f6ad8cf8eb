#include "config/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <system_error>

#include "config/spelling.hpp"

namespace config {
namespace {

/// The largest bundles of certificates are a few hundred KiB; more is a mistake in the path.
constexpr off_t max_file_size = 16 * 1024 * 1024;

class Descriptor {
   public:
    explicit Descriptor(int fd) noexcept : fd_(fd) {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    int get() const noexcept { return fd_; }

   private:
    int fd_;
};

std::string last_error() { return std::generic_category().message(errno); }

/// PostgreSQL's rule and words: check_ssl_key_file_permissions() in
/// src/backend/libpq/be-secure-common.c.
std::string permission_fault(const struct stat& status) {
    if (status.st_uid != ::geteuid() && status.st_uid != 0) return "must be owned by the current user or root";
    // Group read is for system-wide keys of root that are shared with services through a group.
    const mode_t forbidden = status.st_uid == 0 ? S_IWGRP | S_IXGRP | S_IRWXO : S_IRWXG | S_IRWXO;
    if ((status.st_mode & forbidden) == 0) return {};
    return "has group or world access: file must have permissions u=rw (0600) or less if owned by the current user, "
           "or permissions u=rw,g=r (0640) or less if owned by root";
}

/// What is wrong with an opened file, before a byte of it is read; empty when nothing is.
std::string fault_of(const struct stat& status, FileKind kind) {
    if (!S_ISREG(status.st_mode)) return "is not a regular file";
    if (status.st_size > max_file_size) return "is larger than 16 MiB, which none needs to be";
    const bool is_public = kind == FileKind::certificate || kind == FileKind::revocation_list || kind == FileKind::text;
    return is_public ? std::string() : permission_fault(status);
}

std::string stamp_of(const struct stat& status) {
    std::string stamp;
    const auto add = [&](auto number) { stamp += std::to_string(number) + ":"; };
    add(status.st_dev);
    add(status.st_ino);
    add(status.st_size);
    for (const timespec& time : {status.st_mtim, status.st_ctim}) {
        add(time.tv_sec);
        add(time.tv_nsec);
    }
    add(status.st_mode);
    add(status.st_uid);
    add(status.st_gid);
    return stamp;
}

thread_local FilesRead* innermost_notes = nullptr;

/// nullopt, with errno set, on a read error.
std::optional<protocol::Buffer> read_all(int fd, std::size_t size) {
    protocol::Buffer contents(size);
    std::size_t done = 0;
    while (done < size) {
        const ssize_t n = ::read(fd, contents.data() + done, size - done);
        if (n == 0) break;
        if (n < 0 && errno != EINTR) return std::nullopt;
        if (n > 0) done += static_cast<std::size_t>(n);
    }
    contents.resize(done);
    return contents;
}

}  // namespace

std::string quoted(const File& file, FileKind kind) {
    switch (kind) {
        case FileKind::certificate: return "certificate file " + in_quotes(file.path);
        case FileKind::revocation_list: return "CRL file " + in_quotes(file.path);
        case FileKind::text: return "file " + in_quotes(file.path);
        case FileKind::private_key: return "private key file " + in_quotes(file.path);
        case FileKind::users: return "users file " + in_quotes(file.path);
        case FileKind::secret: return "secret file " + in_quotes(file.path);
    }
    return file.path;
}

std::string why_not_secret(const std::string& path) {
    struct stat status {};
    return ::stat(path.c_str(), &status) == 0 ? permission_fault(status) : std::string();
}

bool hold_the_same(const FileStates& a, const FileStates& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
        return x.first == y.first && x.second.content == y.second.content;
    });
}

std::string file_stamp(const std::string& path) {
    struct stat status {};
    return ::stat(path.c_str(), &status) == 0 ? stamp_of(status) : last_error();
}

FileState look_at_file(const std::string& path, FileKind kind) {
    const FilesRead look(FilesRead::Outer::apart);
    std::vector<Diagnostic> errors;
    read_file({.path = path, .origin = {}}, kind, errors);
    return look.states().at(path);
}

FilesRead::FilesRead(Outer outer) : outer_(outer == Outer::told ? innermost_notes : nullptr), before_(innermost_notes) {
    innermost_notes = this;
}

FilesRead::~FilesRead() { innermost_notes = before_; }

void FilesRead::note(const std::string& path, const FileState& state) {
    states_.emplace(path, state);
    if (outer_) outer_->note(path, state);
}

FilesRead* FilesRead::innermost() noexcept { return innermost_notes; }

std::optional<protocol::Buffer> read_file(const File& file, FileKind kind, std::vector<Diagnostic>& errors) {
    FileState state{.kind = kind};
    const auto note = [&] {
        if (FilesRead* const notes = FilesRead::innermost()) notes->note(file.path, state);
    };
    const auto refuse = [&](const std::string& why, bool may_pass) {
        state.content = why;
        note();
        errors.push_back({.origin = file.origin, .message = quoted(file, kind) + " " + why, .may_pass = may_pass});
        return std::nullopt;
    };
    // Checked and read through one descriptor, so that the file judged is the file used.
    // O_NONBLOCK: opening a FIFO must not wait for a writer.
    const Descriptor fd(::open(file.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat status {};
    if (fd.get() < 0) {
        const std::string why = "cannot be opened: " + last_error();
        state.stamp = file_stamp(file.path);
        return refuse(why, true);
    }
    if (::fstat(fd.get(), &status) != 0) return refuse("cannot be examined: " + last_error(), true);
    state.stamp = stamp_of(status);
    if (const std::string fault = fault_of(status, kind); !fault.empty()) return refuse(fault, false);
    auto contents = read_all(fd.get(), static_cast<std::size_t>(status.st_size));
    if (!contents) return refuse("cannot be read: " + last_error(), true);
    state.content = std::to_string(std::hash<std::string_view>()(protocol::as_text(*contents)));
    note();
    return contents;
}

}  // namespace config
