#include "proxy/capture/captures.hpp"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

#include "support/capture_file.hpp"
#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using proxy::CaptureEnd;
using proxy::CaptureOrder;
using proxy::CaptureRefused;
using proxy::Captures;
using proxy::CaptureState;
using proxy::CaptureStatus;
using proxy::CaptureWindows;
using proxy::Event;
using proxy::EventKind;
using proxy::OwnedDescriptor;
using proxy::RunningCaptures;
using support::Folder;
using Time = std::chrono::system_clock::time_point;

/// What happened, from any thread.
struct Happened {
    void record(Event&& event) {
        const std::lock_guard lock(mutex);
        events.push_back(std::move(event));
    }
    std::vector<Event> all() {
        const std::lock_guard lock(mutex);
        return events;
    }
    std::vector<Event> wait_for(std::size_t count) {
        const auto deadline = std::chrono::steady_clock::now() + 60s;
        while (all().size() < count && std::chrono::steady_clock::now() < deadline) std::this_thread::sleep_for(1ms);
        REQUIRE(all().size() >= count);
        return all();
    }

    std::mutex mutex;
    std::vector<Event> events;
    std::atomic<int> started{0};
};

RunningCaptures::Settings settings(const Folder& folder) {
    RunningCaptures::Settings made{.config = {}, .state_dir = folder.file("state"), .listeners = {"legacy", "other"}};
    made.config.min_free_space = 0;
    return made;
}

RunningCaptures::Uses uses(Happened& happened) {
    return {.record = [&](Event&& event) { happened.record(std::move(event)); },
            .started = [&] { ++happened.started; }};
}

CaptureOrder order(const std::string& by = "uid 1000 (alice)") {
    CaptureOrder made;
    made.by = by;
    return made;
}

std::string why(const proxy::CaptureStarted& started) {
    const auto* refused = std::get_if<CaptureRefused>(&started);
    return refused ? refused->why : "";
}

proxy::SessionRecord session(const std::string& listener, const std::string& address) {
    proxy::SessionRecord record;
    record.session = "s";
    record.listener = listener;
    record.client_addr = address;
    return record;
}

/// A folder that takes a while to look at, and tells when somebody does.
struct SlowFolder {
    explicit SlowFolder(const std::string& dir) {
        std::filesystem::create_directories(dir);
        std::filesystem::permissions(dir, std::filesystem::perms::owner_all);
        for (int i = 0; i < 2'000; ++i)
            OwnedDescriptor(
                ::open((dir + "/named-" + std::to_string(i)).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
        REQUIRE(::inotify_add_watch(watch.get(), dir.c_str(), IN_CLOSE_NOWRITE) >= 0);
    }
    void wait_for_a_look() const {
        std::array<char, 4'096> event{};
        REQUIRE(::read(watch.get(), event.data(), event.size()) > 0);
    }
    OwnedDescriptor watch{::inotify_init1(IN_CLOEXEC)};
};

std::size_t rings_in(const std::string& dir) {
    const auto entries = std::filesystem::directory_iterator(dir);
    return static_cast<std::size_t>(std::count_if(begin(entries), end(entries), [](const auto& entry) {
        return entry.path().filename().string().starts_with("capture-");
    }));
}

}  // namespace

TEST_CASE("captures: one is started, shown and stopped, and both are recorded") {
    const Folder folder;
    Happened happened;
    Captures captures(settings(folder), uses(happened), "here");
    CHECK_FALSE(captures.any());
    CaptureOrder wanted = order();
    wanted.lasts = 1h;
    wanted.filter.users = {"alice", "bob"};
    const auto started = captures.start(wanted);
    REQUIRE(why(started) == "");
    const CaptureStatus status = std::get<CaptureStatus>(started);
    CHECK(status.id == 1);
    CHECK(status.where == folder.file("state/captures"));
    CHECK(std::filesystem::exists(status.file));
    CHECK(captures.any());
    CHECK(happened.started == 1);
    REQUIRE(captures.status().size() == 1);
    CHECK(captures.status()[0].by == "uid 1000 (alice)");
    CHECK(captures.status()[0].until == status.started + 1h);
    CHECK_FALSE(captures.stop(2));
    CHECK(captures.stop(1, "uid 7"));
    const auto events = happened.wait_for(2);
    CHECK(events[0].kind == EventKind::capture_started);
    CHECK(events[0].capture->filter == "user=alice user=bob");
    CHECK(events[1].kind == EventKind::capture_stopped);
    CHECK(events[1].capture->reason == "stopped");
    CHECK(events[1].capture->stopped_by == "uid 7");
    const auto deadline = std::chrono::steady_clock::now() + 60s;
    while (captures.any() && std::chrono::steady_clock::now() < deadline) std::this_thread::sleep_for(1ms);
    CHECK_FALSE(captures.any());
    REQUIRE(captures.status().size() == 1);
    CHECK(captures.status()[0].state == CaptureState::ended);
    CHECK(captures.status()[0].reason == "stopped");
    CHECK(captures.status()[0].stopped_by == "uid 7");
    CHECK(captures.status()[0].ended >= status.started);
    CHECK_FALSE(captures.stop(1));
    CHECK_FALSE(support::blocks_of(support::content(status.file)).empty());
}

TEST_CASE("captures: what would hold secrets, or be about nobody, is refused in words that help") {
    const Folder folder;
    Happened happened;
    auto made = settings(folder);
    Captures captures(made, uses(happened), "here");
    for (bool CaptureOrder::*secret : {&CaptureOrder::keylog, &CaptureOrder::allow_secrets}) {
        CaptureOrder wanted = order();
        wanted.*secret = true;
        CHECK(why(captures.start(wanted)).find("allow_secrets = true") != std::string::npos);
    }
    CaptureOrder wanted = order();
    wanted.filter.listeners = {"legacy", "elsewhere"};
    CHECK(why(captures.start(wanted)) == "there is no listener \"elsewhere\"");
    made.config.min_free_space = std::uint64_t{1} << 60;
    captures.use(made);
    CHECK(why(captures.start(order())).find("min_free_space") != std::string::npos);
    made.config.min_free_space = 0;
    made.config.allow_secrets = true;
    captures.use(made);
    CaptureOrder secret = order();
    secret.keylog = true;
    CHECK(why(captures.start(secret)) == "");
    CHECK(happened.all().size() == 1);
}

TEST_CASE("captures: a refused one closes the connection that it was to write to") {
    const Folder folder;
    Happened happened;
    Captures captures(settings(folder), uses(happened), "here");
    std::array<int, 2> fds{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()) == 0);
    CaptureOrder wanted = order();
    wanted.keylog = true;
    CHECK(why(captures.start(wanted, OwnedDescriptor(fds[0]))) != "");
    char byte = 0;
    CHECK(::read(fds[1], &byte, 1) == 0);
    ::close(fds[1]);
}

TEST_CASE("captures: only so many run at a time, and stop(0) ends those of commands") {
    const Folder folder;
    Happened happened;
    Captures captures(settings(folder), uses(happened), "here");
    for (std::size_t i = 0; i < RunningCaptures::max_running; ++i) REQUIRE(why(captures.start(order())) == "");
    CHECK(why(captures.start(order())).find("stop one of them") != std::string::npos);
    CHECK(captures.stop(0));
    happened.wait_for(2 * RunningCaptures::max_running);
}

TEST_CASE("captures: one that begins later has a higher number, however long the disk took before") {
    const Folder folder;
    Happened happened;
    const auto running = std::make_shared<RunningCaptures>(settings(folder), uses(happened));
    const SlowFolder slow(folder.file("state/captures"));
    std::thread first([&] { running->start(order("slow"), RunningCaptures::Wanted::by_command); });
    slow.wait_for_a_look();
    std::array<int, 2> fds{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()) == 0);
    running->start(order("quick"), RunningCaptures::Wanted::by_command, OwnedDescriptor(fds[0]));
    // A session that comes now is asked about what runs, and later about what began since.
    std::set<std::uint64_t> asked;
    for (const auto& capture : running->since(0)) asked.insert(capture->id());
    REQUIRE_FALSE(asked.empty());
    first.join();
    for (const auto& capture : running->since(*asked.rbegin())) asked.insert(capture->id());
    CHECK(asked == std::set<std::uint64_t>{1, 2});
    running->end(60s);
    ::close(fds[1]);
}

TEST_CASE("captures: of many that begin at once no more run than may, and the others leave no file") {
    const Folder folder;
    Happened happened;
    const auto running = std::make_shared<RunningCaptures>(settings(folder), uses(happened));
    const SlowFolder slow(folder.file("state/captures"));
    constexpr std::size_t tries = RunningCaptures::max_running + 8;
    std::vector<std::thread> starters;
    std::atomic<std::size_t> refused{0};
    for (std::size_t i = 0; i < tries; ++i) {
        starters.emplace_back([&] {
            const auto started = running->start(order(), RunningCaptures::Wanted::by_command);
            if (why(started).find("stop one of them") != std::string::npos) ++refused;
        });
    }
    for (std::thread& starter : starters) starter.join();
    CHECK(refused == tries - RunningCaptures::max_running);
    CHECK(running->status().size() == RunningCaptures::max_running);
    CHECK(rings_in(folder.file("state/captures")) == RunningCaptures::max_running);
    running->end(60s);
}

TEST_CASE("captures: sessions are not kept waiting by one that is over and still being recorded") {
    const Folder folder;
    std::mutex mutex;
    std::condition_variable released;
    bool is_recorded = false, may_go_on = false;
    RunningCaptures::Uses hanging;
    hanging.record = [&](Event&& event) {
        if (event.kind != EventKind::capture_stopped) return;
        std::unique_lock lock(mutex);
        is_recorded = true;
        released.notify_all();
        released.wait_for(lock, 60s, [&] { return may_go_on; });
    };
    const auto running = std::make_shared<RunningCaptures>(settings(folder), hanging);
    running->start(order(), RunningCaptures::Wanted::by_command);
    running->stop(1, CaptureEnd::stopped);
    {
        std::unique_lock lock(mutex);
        REQUIRE(released.wait_for(lock, 60s, [&] { return is_recorded; }));
    }
    // It waits a second for that thread, and then leaves it behind.
    std::atomic<bool> goes{false};
    std::thread next([&] {
        goes = true;
        running->start(order(), RunningCaptures::Wanted::by_command);
    });
    while (!goes) std::this_thread::sleep_for(1ms);
    const auto deadline = std::chrono::steady_clock::now() + 60s;
    int answers = 0;
    while (!proxy::OwnThread::left_behind() && std::chrono::steady_clock::now() < deadline) {
        running->since(0);
        ++answers;
        std::this_thread::sleep_for(1ms);
    }
    CHECK(answers > 2);  // not only once the wait was over
    {
        const std::lock_guard lock(mutex);
        may_go_on = true;
    }
    released.notify_all();
    next.join();
    running->end(60s);
    while (proxy::OwnThread::left_behind() && std::chrono::steady_clock::now() < deadline)
        std::this_thread::sleep_for(1ms);
}

TEST_CASE("captures: the end of the process ends all of them in whole files, and lets none begin") {
    const Folder folder;
    Happened happened;
    Captures captures(settings(folder), uses(happened), "here");
    const auto started = captures.start(order());
    captures.end();
    const auto events = happened.all();
    REQUIRE(events.size() == 2);
    CHECK(events[1].capture->reason == "shutdown");
    CHECK_FALSE(support::blocks_of(support::content(std::get<CaptureStatus>(started).file)).empty());
    CHECK(why(captures.start(order())) == "the process ends");
    CHECK(happened.all().size() == 2);
}

TEST_CASE("captures: what is left behind at the end of the process is said, and shown as ending until then") {
    std::array<int, 2> fds{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()) == 0);
    const Folder folder;
    Happened happened;
    const auto running = std::make_shared<RunningCaptures>(settings(folder), uses(happened));
    const auto started = running->start(order(), RunningCaptures::Wanted::by_command, OwnedDescriptor(fds[0]));
    const auto capture = running->since(0).at(0);
    auto& leg = capture->interface("leg", "");
    // Nobody reads: its thread waits for room in the socket.
    for (int i = 0; i < 100; ++i) capture->write({.interface = &leg, .bytes = protocol::Buffer(100'000, 'x')});
    CHECK(running->status().at(0).state == CaptureState::running);
    CHECK(running->stop(1, CaptureEnd::stopped));
    REQUIRE(running->status().size() == 1);
    CHECK(running->status()[0].state == CaptureState::ending);
    running->end(10ms);
    const auto events = happened.all();
    REQUIRE(events.size() == 2);
    CHECK(events[1].capture->reason == "client");
    CHECK(events[1].message.find("lost") != std::string::npos);
    ::close(fds[1]);
}

TEST_CASE("captures: a session is asked about each of them once, and joins those that may be about it") {
    const Folder folder;
    Happened happened;
    Captures captures(settings(folder), uses(happened), "here");
    CaptureOrder near = order();
    near.filter.listeners = {"legacy"};
    near.filter.client_addrs = {
        {.bytes = protocol::as_v6(protocol::endpoint("10.0.0.0", 0)).address, .prefix_length = 104}};
    captures.start(near);
    std::unique_ptr<proxy::SessionTap> tap;
    for (const auto& [listener, address] :
         {std::pair("other", "10.0.0.1"), std::pair("legacy", "11.0.0.1"), std::pair("legacy", "")}) {
        const auto record = session(listener, address);
        CHECK_FALSE(captures.join(tap, record, true));
        CHECK_FALSE(tap);
    }
    const auto record = session("legacy", "10.200.0.1");
    CHECK(captures.join(tap, record, true));
    REQUIRE(tap);
    CHECK_FALSE(captures.join(tap, record, true));
    captures.start(order());
    CHECK(captures.join(tap, record, false));
    CHECK_FALSE(captures.join(tap, record, false));
    tap.reset();
}

TEST_CASE("capture windows: each starts one capture at its beginning, and ends it at its end") {
    const Folder folder;
    Happened happened;
    auto made = settings(folder);
    const Time begin = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
    made.config.windows = {{.begin = begin, .end = begin + 1h}, {.begin = begin + 1h, .end = begin + 2h}};
    const auto running = std::make_shared<RunningCaptures>(made, uses(happened));
    CaptureWindows windows(running);
    CHECK(windows.turn(begin - 1s) == begin);
    CHECK_FALSE(running->any());
    CHECK(windows.turn(begin) == begin + 1h);
    CHECK(windows.turn(begin + 10s) == begin + 1h);
    REQUIRE(running->status().size() == 1);
    CHECK(running->status()[0].by.starts_with("window 20"));
    CHECK(running->status()[0].order.lasts == 1h);
    CHECK_FALSE(running->stop_commands("uid 7"));

    CHECK(windows.turn(begin + 1h) == begin + 2h);
    auto events = happened.wait_for(3);
    CHECK(std::count_if(events.begin(), events.end(), [](const Event& event) {
              return event.kind == EventKind::capture_stopped && event.capture->reason == "time";
          }) == 1);
    CHECK(windows.turn(begin + 2h) == Time::max());
    happened.wait_for(4);
    running->end(60s);
}

TEST_CASE("capture windows: one that is taken out ends its capture; one that stays keeps it") {
    const Folder folder;
    Happened happened;
    auto made = settings(folder);
    const Time begin = std::chrono::system_clock::now();
    made.config.windows = {{.begin = begin, .end = begin + 1h}};
    const auto running = std::make_shared<RunningCaptures>(made, uses(happened));
    CaptureWindows windows(running);
    windows.turn(begin);
    made.config.payload = protocol::Payload::headers;
    running->use(made);
    windows.turn(begin + 1s);
    CHECK(happened.all().size() == 1);
    made.config.windows.clear();
    running->use(made);
    windows.turn(begin + 2s);
    CHECK(happened.wait_for(2)[1].capture->reason == "window");
    running->end(60s);
}

TEST_CASE("capture windows: another end of one that is open moves the end of its capture") {
    const Folder folder;
    Happened happened;
    auto made = settings(folder);
    const Time begin = std::chrono::system_clock::now();
    made.config.windows = {{.begin = begin, .end = begin + 1h}};
    const auto running = std::make_shared<RunningCaptures>(made, uses(happened));
    CaptureWindows windows(running);
    windows.turn(begin);
    made.config.windows = {{.begin = begin, .end = begin + 3h}};
    running->use(made);
    windows.turn(begin + 1s);
    CHECK(happened.all().size() == 1);
    REQUIRE(running->status().size() == 1);
    CHECK(*running->status()[0].order.lasts > 2h);
    made.config.windows = {{.begin = begin, .end = begin + 1s + 1ms}};
    running->use(made);
    windows.turn(begin + 1s);
    CHECK(happened.wait_for(2)[1].capture->reason == "time");
    running->end(60s);
}

TEST_CASE("capture windows: one whose capture has ended by itself does not begin another one") {
    const Folder folder;
    Happened happened;
    auto made = settings(folder);
    const Time begin = std::chrono::system_clock::now();
    made.config.windows = {{.begin = begin, .end = begin + 1h}};
    const auto running = std::make_shared<RunningCaptures>(made, uses(happened));
    CaptureWindows windows(running);
    windows.turn(begin);
    std::filesystem::remove(running->status().at(0).file);
    CHECK(happened.wait_for(2)[1].capture->reason == "removed");
    windows.turn(begin + 1s);
    CHECK(happened.all().size() == 2);
    running->end(60s);
}

TEST_CASE("capture windows: one whose capture runs is not started again, whatever fails behind that") {
    const Folder folder;
    Happened happened;
    auto made = settings(folder);
    const Time begin = std::chrono::system_clock::now();
    made.config.windows = {{.begin = begin, .end = begin + 1h}};
    auto failing = uses(happened);
    failing.started = [] { throw std::bad_alloc(); };
    const auto running = std::make_shared<RunningCaptures>(made, failing);
    CaptureWindows windows(running);
    for (int i = 0; i < 3; ++i) {
        try {
            windows.turn(begin);
        } catch (const std::exception&) {
            // Its thread logs that, and takes the next turn.
        }
    }
    CHECK(running->status().size() == 1);
    running->end(60s);
}

TEST_CASE("captures: windows that are to open are shown as planned, in their order, until the process ends") {
    const Folder folder;
    Happened happened;
    auto made = settings(folder);
    const Time now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
    made.config.windows = {{.begin = now + 3h, .end = now + 4h},
                           {.begin = now + 1h, .end = now + 2h},
                           {.begin = now - 2h, .end = now - 1h}};
    made.config.users = {"app"};
    Captures captures(made, uses(happened), "here");
    const auto planned = captures.status();
    REQUIRE(planned.size() == 2);
    CHECK(planned[0].state == CaptureState::planned);
    CHECK(planned[0].id == 0);
    CHECK(planned[0].started == now + 1h);
    CHECK(planned[0].until == now + 2h);
    CHECK(planned[0].by.starts_with("window "));
    CHECK(planned[0].where == folder.file("state/captures"));
    CHECK(planned[0].warning.find("TLS") != std::string::npos);
    CHECK(planned[1].started == now + 3h);
    captures.start(order());
    REQUIRE(captures.status().size() == 3);
    CHECK(captures.status()[0].state == CaptureState::running);
    captures.end();
    REQUIRE(captures.status().size() == 1);
    CHECK(captures.status()[0].reason == "shutdown");
}

TEST_CASE("captures: the last that are over are shown, and so many of them alone") {
    const Folder folder;
    Happened happened;
    Captures captures(settings(folder), uses(happened), "here");
    constexpr std::size_t more = RunningCaptures::max_shown + 3;
    for (std::size_t i = 1; i <= more; ++i) {
        REQUIRE(why(captures.start(order())) == "");
        CHECK(captures.stop(i));
        happened.wait_for(2 * i);
    }
    const auto past = captures.status();
    REQUIRE(past.size() == RunningCaptures::max_shown);
    CHECK(past.front().id == 4);
    CHECK(past.back().id == more);
    CHECK(past.back().state == CaptureState::ended);
}

TEST_CASE("captures: one whose file was deleted is shown as failed, and so is a window that could not begin") {
    const Folder folder;
    Happened happened;
    auto made = settings(folder);
    const auto running = std::make_shared<RunningCaptures>(made, uses(happened));
    CaptureWindows windows(running);
    running->start(order(), RunningCaptures::Wanted::by_command);
    std::filesystem::remove(running->status().at(0).file);
    happened.wait_for(2);
    const Time begin = std::chrono::system_clock::now();
    made.config.windows = {{.begin = begin, .end = begin + 1h}};
    made.config.min_free_space = std::uint64_t{1} << 60;
    running->use(made);
    windows.turn(begin);
    windows.turn(begin + 1s);
    const auto past = running->past();
    REQUIRE(past.size() == 2);
    CHECK(past[0].state == CaptureState::failed);
    CHECK(past[0].reason == "removed");
    CHECK(past[1].state == CaptureState::failed);
    CHECK(past[1].id == 0);
    CHECK(past[1].by.starts_with("window "));
    CHECK(past[1].message.find("min_free_space") != std::string::npos);
    running->end(60s);
}

TEST_CASE("captures: a filter by what is known after the login alone is warned of, one by listener is not") {
    const Folder folder;
    Happened happened;
    Captures captures(settings(folder), uses(happened), "here");
    for (auto proxy::CaptureFilter::*names :
         {&proxy::CaptureFilter::users, &proxy::CaptureFilter::databases, &proxy::CaptureFilter::application_names}) {
        CaptureOrder wanted = order();
        (wanted.filter.*names) = {"x"};
        CHECK(std::get<CaptureStatus>(captures.start(wanted)).warning.find("TLS fails") != std::string::npos);
    }
    CaptureOrder wanted = order();
    wanted.filter.listeners = {"legacy"};
    CHECK(std::get<CaptureStatus>(captures.start(wanted)).warning.empty());
}
