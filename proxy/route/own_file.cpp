#include "proxy/route/own_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "tls/own_permissions.hpp"

namespace proxy {
namespace {

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

OwnFile fault(const std::string& why, bool exists) {
    OwnFile file;
    file.exists = exists;
    file.fault = why;
    return file;
}

bool write_all(int fd, const protocol::Buffer& contents) {
    const ssize_t written = ::write(fd, contents.data(), contents.size());
    return written == static_cast<ssize_t>(contents.size()) && ::fsync(fd) == 0;
}

}  // namespace

OwnFile read_own_file(const std::string& path, std::size_t size) {
    OwnFile file;
    file.tightened = tls::tighten(path);
    const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (fd.get() < 0) return fault(last_error(), errno != ENOENT);
    file.exists = true;
    file.contents.resize(size + 1);  // one more, to see what is longer
    const ssize_t n = ::read(fd.get(), file.contents.data(), file.contents.size());
    if (n != static_cast<ssize_t>(size)) return fault(n < 0 ? last_error() : "it is not as long as it was", true);
    file.contents.resize(size);
    return file;
}

OwnFile keep_own_file(const std::string& path, const protocol::Buffer& contents) {
    const std::string beside = path + "." + std::to_string(::getpid()) + ".new";
    ::unlink(beside.c_str());  // of a process that had this number and was killed
    {
        const Descriptor fd(::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
        if (fd.get() < 0) return fault(last_error(), false);
        if (!write_all(fd.get(), contents)) {
            const std::string why = last_error();
            ::unlink(beside.c_str());
            return fault(why, false);
        }
    }
    const bool first = ::link(beside.c_str(), path.c_str()) == 0;
    if (!first && errno == EEXIST) {
        OwnFile other = read_own_file(path, contents.size());
        if (!other.contents.empty()) {
            ::unlink(beside.c_str());
            return other;
        }
    }
    if (first) {
        ::unlink(beside.c_str());
    } else if (::rename(beside.c_str(), path.c_str()) != 0) {  // it is damaged, or here are no hard links
        const std::string why = last_error();
        ::unlink(beside.c_str());
        return fault(why, true);
    }
    OwnFile file;
    file.contents = contents;
    file.exists = true;
    return file;
}

}  // namespace proxy
