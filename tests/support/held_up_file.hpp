// A named pipe whose reader holds it open and reads nothing: whoever writes is held up once it is
// full.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <string>
#include <thread>

#include "proxy/record/own_thread.hpp"
#include "support/catch.hpp"
#include "support/folder.hpp"

namespace support {

class HeldUpFile {
   public:
    HeldUpFile() {
        std::signal(SIGPIPE, SIG_IGN);  // a writer may still be there when we go
        REQUIRE(::mkfifo(path().c_str(), 0600) == 0);
        reader_ = ::open(path().c_str(), O_RDONLY | O_NONBLOCK);
        ::fcntl(reader_, F_SETPIPE_SZ, 4096);
    }
    /// Whoever was held up ends now. It is waited for: it must not meet the end of the process.
    ~HeldUpFile() {
        ::close(reader_);
        for (int i = 0; proxy::OwnThread::left_behind() && i < 60'000; ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    HeldUpFile(const HeldUpFile&) = delete;
    HeldUpFile& operator=(const HeldUpFile&) = delete;

    std::string path() const { return folder_.file("pipe"); }
    /// Until the writer has closed its end.
    std::string read_to_end() const {
        ::fcntl(reader_, F_SETFL, 0);
        std::string all, part(65'536, '\0');
        for (ssize_t n = 0; (n = ::read(reader_, part.data(), part.size())) > 0;)
            all.append(part, 0, static_cast<std::size_t>(n));
        return all;
    }

   private:
    Folder folder_;
    int reader_ = -1;
};

}  // namespace support
