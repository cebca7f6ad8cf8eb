#include "proxy/capture/captures.hpp"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <utility>

#include "proxy/capture/capture_windows.hpp"
#include "proxy/capture/running_captures.hpp"

namespace proxy {

class Captures::Running : public RunningCaptures {
    using RunningCaptures::RunningCaptures;
};
class Captures::Windows : public CaptureWindows {
    using CaptureWindows::CaptureWindows;
};

}  // namespace proxy
