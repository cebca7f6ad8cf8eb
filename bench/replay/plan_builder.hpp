// Makes a SessionPlan out of the packets of one conversation in clear. Pure.
#pragma once

#include "bench/replay/plan.hpp"
#include "bench/replay/statement_judge.hpp"
#include "protocol/captured_stream.hpp"

namespace bench::replay {

struct PlanRules {
    bool writes = false;     ///< play what may write too
    bool hash_rows = false;  ///< for Result::hash
    bool openings = false;   ///< only up to the login's end: the rest is not known
};

class PlanBuilder {
   public:
    explicit PlanBuilder(PlanRules rules);
    PlanBuilder(const PlanBuilder&) = delete;
    PlanBuilder& operator=(const PlanBuilder&) = delete;

    void segment(const protocol::CapturedSegment& segment);
    /// Nothing behind this point is as it was said.
    void cut(const std::string& why);
    /// Nothing more will come.
    SessionPlan finish();

    const SessionPlan& plan() const noexcept { return plan_; }

   private:
    struct Said {
        Request request;
        LeftOut left_out = LeftOut::no;
    };
    /// A unit whose end has not been answered.
    struct Open {
        Unit unit;
        std::vector<Said> said;
        bool closed = false;      // its Query or Sync was there
        bool copy_ended = false;  // a Sync may follow that belongs to it
    };

    void from_client(protocol::Bytes bytes, std::uint64_t time);
    void from_server(protocol::Bytes bytes, std::uint64_t time);
    void opening(protocol::Bytes packet);
    void startup(protocol::StartupMessage message);
    void message(const protocol::Message& message, std::uint64_t time);
    void add_statement(Unit& unit, const std::string& sql, LeftOut why);
    Open& open_unit(char type);
    void server_message(char type, std::uint64_t time);
    void answered(std::uint64_t time);
    void close_unit(Open& open);

    PlanRules rules_;
    StatementJudge judge_;
    SessionPlan plan_;
    std::array<protocol::CapturedStream, 2> streams_;
    std::vector<std::uint8_t> opening_;  // of a packet without a type byte
    bool in_opening_ = true;
    bool awaits_letter_ = false;  // the answer to SSLRequest or GSSENCRequest
    bool logged_in_ = false;
    protocol::MessageBuffer client_;
    AnswerReader server_;
    std::vector<Open> open_;  // units from plan_.units.size() on
    std::uint64_t last_time_ = 0;
};

}  // namespace bench::replay
