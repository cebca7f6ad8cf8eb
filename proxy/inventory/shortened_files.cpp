#include "proxy/inventory/shortened_files.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdint>

namespace proxy {
namespace {

std::atomic<bool> shortened{false};
std::uintptr_t page_size = 4096;

/// Another page in place of the one that is gone, as systemd's journal does it. Only what may be
/// called within a signal handler.
void replace_page(int signal, siginfo_t* info, void*) {
    const auto address = reinterpret_cast<std::uintptr_t>(info->si_addr);
    void* const page = reinterpret_cast<void*>(address & ~(page_size - 1));
    const bool is_gone = info->si_code == BUS_ADRERR && address != 0;
    if (!is_gone ||
        ::mmap(page, page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED) {
        ::signal(signal, SIG_DFL);  // it comes again, and ends the process
        return;
    }
    shortened.store(true);
}

}  // namespace

void survive_shortened_files() {
    page_size = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    struct sigaction action {};
    action.sa_sigaction = replace_page;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    ::sigaction(SIGBUS, &action, nullptr);
}

bool take_shortened() noexcept { return shortened.exchange(false); }

}  // namespace proxy
