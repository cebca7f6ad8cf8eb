// `pgairlock capture read`: what captures hold, for people and programs.
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <stdexcept>

#include "config/load.hpp"
#include "proxy/command/capture_groups.hpp"
#include "proxy/command/capture_source.hpp"
#include "proxy/command/commands.hpp"
#include "proxy/command/inventories.hpp"
#include "proxy/transcript/summary.hpp"
#include "proxy/transcript/transcript_json.hpp"
#include "proxy/transcript/transcript_text.hpp"
#include "proxy/transcript/words.hpp"

namespace proxy::command {
namespace {

using transcript::Reading;
using transcript::ReadSession;
using transcript::Summary;

void put(std::FILE* file, const std::string& text) {
    if (std::fwrite(text.data(), 1, text.size(), file) != text.size()) throw std::runtime_error("cannot write");
}

/// Texts that are shown in another order than they come in, in a temporary file without a name:
/// captures may be larger than memory.
class Spool {
   public:
    Spool() : file_(std::tmpfile()) {
        if (!file_) throw std::runtime_error("cannot make a temporary file in /tmp");
    }
    void add(std::uint64_t order, const std::string& text) {
        put(file_.get(), text);
        places_.push_back({.order = order, .at = end_, .size = text.size()});
        end_ += text.size();
    }
    /// `between` stands between two of them. Then it is empty.
    void write(std::FILE* out, const char* between) {
        std::stable_sort(places_.begin(), places_.end(),
                         [](const Place& a, const Place& b) { return a.order < b.order; });
        std::string text;
        const char* before = "";
        for (const Place& place : places_) {
            text.resize(place.size);
            const bool there = std::fseek(file_.get(), static_cast<long>(place.at), SEEK_SET) == 0 &&
                               std::fread(text.data(), 1, text.size(), file_.get()) == text.size();
            if (!there) throw std::runtime_error("cannot read the temporary file");
            put(out, before + text);
            before = between;
        }
        places_.clear();
        end_ = 0;
        std::rewind(file_.get());
    }

   private:
    struct Place {
        std::uint64_t order = 0;
        std::size_t at = 0;
        std::size_t size = 0;
    };
    struct Close {
        void operator()(std::FILE* file) const noexcept { std::fclose(file); }
    };
    std::unique_ptr<std::FILE, Close> file_;
    std::vector<Place> places_;
    std::size_t end_ = 0;
};

struct Wanted {
    transcript::ReadFilter filter;
    std::optional<std::uint64_t> compare_at;  // ns
};

Wanted wanted(const CaptureReadOptions& options) {
    Wanted out{.filter = {.session = options.session, .user = options.user, .database = options.database, .client = {}},
               .compare_at = {}};
    if (!options.client.empty()) {
        out.filter.client = config::parse_cidr(options.client);
        if (!out.filter.client)
            throw std::runtime_error("--client: expected an address or a range of them (10.0.0.0/8), got \"" +
                                     options.client + "\"");
    }
    if (!options.compare_at.empty()) {
        const Timestamp time = parse_time_option("--compare-at", options.compare_at, std::chrono::system_clock::now());
        if (time <= 0) throw std::runtime_error("--compare-at: a time before 1970");
        out.compare_at = static_cast<std::uint64_t>(time) * 1000;
    }
    const auto is_input = [](const std::string& file) { return file == "-"; };
    if (std::count_if(options.files.begin(), options.files.end(), is_input) > 1)
        throw std::runtime_error("standard input (-) can be read once");
    if (options.follow && options.format != "text")
        throw std::runtime_error("--follow prints text: the JSON is one object, which has an end");
    return out;
}

report::Layout terminal() {
    winsize size{};
    if (::isatty(STDOUT_FILENO) && ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return {.colours = false, .width = std::max<std::size_t>(size.ws_col, 80)};
    return {.colours = false, .width = 0};
}

class Output {
   public:
    explicit Output(const CaptureReadOptions& options) : json_(options.format == "json") {}

    void session(const ReadSession& session) {
        const std::string text = json_ ? transcript::session_json(session) : transcript::session_text(session) + "\n";
        if (!live_) return spool_.add(session.started, text);
        put(stdout, text);
        std::fflush(stdout);
    }
    /// What is there already, and from now on each session as it ends.
    void go_live(const Reading& reading) {
        told_ = reading.lacks().texts();
        put(stdout, told_.empty() ? "The file grows: what is missing is said at the end.\n\n"
                                  : transcript::incomplete_text(told_));
        spool_.write(stdout, "");
        std::fflush(stdout);
        live_ = true;
    }
    void end(const Reading& reading, const Summary& summary) {
        const std::vector<std::string> lacks = reading.lacks().texts();
        if (json_) {
            put(stdout, "{\"incomplete\":" + transcript::incomplete_json(lacks) + ",\n\"absent_sessions\":" +
                            transcript::absent_json(reading.lacks().absent_sessions()) + ",\n\"sessions\":[");
            spool_.write(stdout, ",\n");
            put(stdout, "],\n\"summary\":" + transcript::summary_json(summary, reading) + "}\n");
        } else {
            if (!live_ || lacks != told_) put(stdout, transcript::incomplete_text(lacks));
            spool_.write(stdout, "");
            put(stdout, transcript::summary_text(summary, reading, terminal()));
        }
        if (std::fflush(stdout) != 0) throw std::runtime_error("cannot write");
    }

   private:
    bool json_;
    bool live_ = false;
    std::vector<std::string> told_;
    Spool spool_;
};

int read_wanted(const CaptureReadOptions& options, const Wanted& what) try {
    Output output(options);
    Summary summary(what.compare_at);
    Reading reading(what.filter, [&](ReadSession&& session) {
        summary.add(session);  // also those that succeeded, or it would be no comparison
        if (session.failed() || !options.failed) output.session(session);
    });
    catch_interrupt();
    bool whole = true;
    // Of one that grows, all are read in the order of time: it comes last.
    const auto groups = options.follow ? std::vector(1, options.files) : by_capture(options.files);
    for (const auto& files : groups) {
        if (interrupted()) break;
        CaptureSource source{.files = files, .follow = options.follow};
        if (options.follow) source.caught_up = [&] { output.go_live(reading); };
        whole = read_captures(std::move(source), reading) && whole;
    }
    reading.end_of_all();
    output.end(reading, summary);
    if (!options.follow && whole && reading.sessions() == 0 && what.filter.names_sessions()) {
        const transcript::AbsentCount absent = reading.lacks().absent_sessions();
        const std::uint64_t others = absent.left_out + absent.not_entered;
        print_error("no session in these files matches (--session, --user, --database, --client)" +
                    (others == 0 ? std::string()
                                 : "; " + transcript::counted(others, "session") +
                                       " that the capture was about is not in it, or not whole: see above"));
        return exit_usage;
    }
    return whole ? exit_ok : exit_failure;
} catch (const std::exception& error) {
    print_error(error.what());
    return exit_failure;
}

}  // namespace

int capture_read(const CaptureReadOptions& options) {
    Wanted what;
    try {
        what = wanted(options);
    } catch (const std::exception& error) {
        print_error(error.what());
        return exit_usage;
    }
    return read_wanted(options, what);
}

}  // namespace proxy::command
