#include "proxy/server/log_writer.hpp"

#include <sys/resource.h>

#include <boost/json.hpp>
#include <thread>

#include "support/catch.hpp"
#include "support/folder.hpp"
#include "support/held_up_file.hpp"

namespace {

using namespace std::chrono_literals;
using proxy::LogLine;
using proxy::LogWriter;
using support::content;
using support::Folder;
using support::HeldUpFile;
using support::lines;

LogLine line(std::string text) { return {.text = std::move(text)}; }

/// Without the time.
std::vector<std::string> messages(const std::string& text) {
    std::vector<std::string> out;
    for (const std::string& each : lines(text)) out.push_back(each.substr(each.find(' ') + 1));
    return out;
}
using Messages = std::vector<std::string>;

}  // namespace

TEST_CASE("log writer: what is written is there at the end, in order") {
    const Folder folder;
    config::Log settings;
    settings.file = folder.file("log");
    LogWriter writer(settings);
    Messages expected;
    for (int i = 0; i < 2'000; ++i) {
        writer.write(line(std::to_string(i)));
        expected.push_back("info " + std::to_string(i));
    }
    REQUIRE(writer.end_within(60s));
    CHECK(messages(content(settings.file)) == expected);
}

TEST_CASE("log writer: nobody waits for a reader that does not read; what is lost is said when it reads") {
    const HeldUpFile file;
    config::Log settings;
    settings.file = file.path();
    auto writer = std::make_unique<LogWriter>(settings, 20'000);
    constexpr std::size_t written = 5'000;
    for (std::size_t i = 0; i < written; ++i) writer->write(line("a line"));
    std::string text;
    std::thread reader([&] { text = file.read_to_end(); });
    CHECK(writer->end_within(60s));
    writer.reset();  // closes its end of the pipe
    reader.join();
    const Messages said = messages(text);
    std::size_t here = 0, lost = 0;
    for (const std::string& message : said) {
        if (message == "info a line") {
            ++here;
        } else {
            CHECK(message.starts_with("error log: "));
            CHECK(
                message.ends_with(" lines lost: there was no room for them: the log is not read, or its disk is slow"));
            lost += std::stoul(message.substr(std::string("error log: ").size()));
        }
    }
    CHECK(lost > 0);
    CHECK(here + lost == written);
}

TEST_CASE("log writer: a reader that never reads holds up the end no longer than asked") {
    const HeldUpFile file;
    config::Log settings;
    settings.file = file.path();
    LogWriter writer(settings);
    for (int i = 0; i < 1'000; ++i) writer.write(line("a line"));
    CHECK_FALSE(writer.end_within(1ms));
    writer.write(line("too late"));  // harmless
}

TEST_CASE("log writer: lines that are one too many are summed up") {
    const Folder folder;
    config::Log settings;
    settings.file = folder.file("log");
    LogWriter writer(settings);
    std::size_t written = 0;
    for (int i = 0; i < 300; ++i) writer.write(line("refused"), {.name = "refused", .listener = "legacy"});
    REQUIRE(writer.end_within(60s));
    std::size_t left_out = 0;
    for (const std::string& message : messages(content(settings.file))) {
        if (message == "info refused") {
            ++written;
        } else {
            const std::string before = "info listener \"legacy\": ",
                              after = " more lines of this kind within a second: refused";
            REQUIRE(message.starts_with(before));
            CHECK(message.ends_with(after));
            left_out += std::stoul(message.substr(before.size()));
        }
    }
    CHECK(written + left_out == 300);
    CHECK(left_out > 0);
}

TEST_CASE("log writer: the last line is the last, whatever was left out before it") {
    const Folder folder;
    config::Log settings;
    settings.file = folder.file("log");
    LogWriter writer(settings);
    for (int i = 0; i < 3; ++i) writer.write(line("refused"), {.name = "refused", .listener = "legacy"});
    writer.write(line("stopped"));
    REQUIRE(writer.end_within(60s));
    CHECK(messages(content(settings.file)).back() == "info stopped");
}

TEST_CASE("log writer: a file that was removed is begun anew") {
    const Folder folder;
    config::Log settings;
    settings.file = folder.file("log");
    LogWriter writer(settings);
    std::filesystem::remove(settings.file);
    while (!std::filesystem::exists(settings.file)) {
        writer.write(line("lost, or not"));
        std::this_thread::yield();
    }
    writer.write(line("here"));
    REQUIRE(writer.end_within(60s));
    CHECK(messages(content(settings.file)).back() == "info here");
}

TEST_CASE("log writer: a full disk leaves no half line, and the loss is said once there is room again") {
    const Folder folder;
    config::Log settings;
    settings.file = folder.file("log");
    LogWriter writer(settings);
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit before{};
    ::getrlimit(RLIMIT_FSIZE, &before);
    const rlimit full{100, before.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &full);
    writer.write(line("first"));
    writer.write(line(std::string(2'000, 'x')));
    writer.write(line("lost"));
    std::filesystem::rename(settings.file, folder.file("old"));
    writer.reopen();
    while (!std::filesystem::exists(settings.file)) std::this_thread::yield();  // all before it is done
    ::setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, SIG_DFL);
    writer.write(line("after"));
    REQUIRE(writer.end_within(60s));
    CHECK(messages(content(folder.file("old"))) == Messages{"info first"});
    CHECK(messages(content(settings.file)) == Messages{"info after", "error log: 2 lines lost: " + settings.file +
                                                                         " could not be written: File too large"});
}

TEST_CASE("log writer: in JSON, and only there, a line about a session has its fields") {
    for (const auto format : {config::LogFormat::json, config::LogFormat::text}) {
        const Folder folder;
        config::Log settings;
        settings.file = folder.file("log");
        settings.format = format;
        LogWriter writer(settings);
        LogLine about = line("s-1 10.0.0.1: refused");
        about.subject = {.session = "s-1", .client = "10.0.0.1", .listener = "the \"old\" one"};
        writer.write(std::move(about));
        LogLine local = line("s-2 : refused");
        local.subject = {.session = "s-2", .client = "", .listener = "main"};
        writer.write(std::move(local));
        writer.write(line("reloaded"));
        REQUIRE(writer.end_within(60s));
        const std::string text = content(settings.file);
        if (format == config::LogFormat::text) {
            CHECK(messages(text) == Messages{"info s-1 10.0.0.1: refused", "info s-2 : refused", "info reloaded"});
            continue;
        }
        const Messages written = lines(text);
        REQUIRE(written.size() == 3);
        const auto first = boost::json::parse(written[0]).as_object();
        CHECK(first.at("session") == "s-1");
        CHECK(first.at("client") == "10.0.0.1");
        CHECK(first.at("listener") == "the \"old\" one");
        CHECK(first.at("message") == "s-1 10.0.0.1: refused");
        CHECK(boost::json::parse(written[1]).at("client").is_null());
        CHECK_FALSE(boost::json::parse(written[2]).as_object().contains("session"));
    }
}
