#include "proxy/admin/sql_complexity.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace proxy {
namespace {

/// The queries that WITH names, wherever it stands; which of them a name means is not looked at.
class WithQueries {
   public:
    explicit WithQueries(const std::vector<SqlToken>& tokens) : in_(tokens) { find(); }

    /// A name is quoted as neither PostgreSQL nor the standard does: [x], `x`.
    bool has_odd_names() const { return has_odd_names_; }

    /// How often queries of WITH are prepared, all together; `max_with_copies` + 1: more.
    std::size_t copies() {
        std::size_t all = 0;
        for (Query* const named : named_outside_) all = std::min(all + weight(*named), most);
        return all;
    }

   private:
    static constexpr std::size_t most = max_with_copies + 1;

    struct Query {
        std::vector<Query*> names{};  // what it names, as often as it does
        std::size_t weight = 0;       // 0: not known yet
        bool is_looked_at = false;
    };

    bool is(std::size_t i, std::string_view what) const { return i < in_.size() && in_[i].is(what); }

    Query* named_at(std::size_t i) {
        if (!is_name(in_[i]) || is(i + 1, ".") || definitions_.contains(i)) return nullptr;
        const auto found = queries_.find(lower(in_[i].value));
        return found == queries_.end() ? nullptr : &found->second;
    }

    /// SQLite takes 'x' for a name as well where one is wanted.
    static bool is_name(const SqlToken& token) { return token.is_name() || token.kind == SqlToken::Kind::string; }

    static std::string lower(std::string name) {
        for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        return name;
    }

    /// Of "AS (" and "AS [NOT] MATERIALIZED (" at `i`: the bracket's place; else 0.
    std::size_t body_at(std::size_t i) const {
        if (!is(i, "as")) return 0;
        ++i;
        if (is(i, "not")) ++i;
        if (is(i, "materialized")) ++i;
        return is(i, "(") ? i : 0;
    }

    void find() {
        std::map<std::size_t, std::string> bodies;  // by their bracket
        std::vector<std::size_t> open;
        for (std::size_t i = 0; i < in_.size(); ++i) {
            if (in_[i].is("(")) open.push_back(i);
            std::size_t name = i;
            if (in_[i].is(")") && !open.empty()) {
                name = open.back() - std::min<std::size_t>(open.back(), 1);
                open.pop_back();
            }
            const std::size_t body = body_at(i + 1);
            if (body == 0) continue;
            if (is_name(in_[name])) {
                definitions_.insert(name);
                bodies[body] = lower(in_[name].value);
            } else {
                has_odd_names_ = true;
            }
        }
        for (const auto& [at, name] : bodies) queries_[name];
        std::vector<Query*> within;  // of each bracket that is open: the query that it is in
        for (std::size_t i = 0; i < in_.size(); ++i) {
            if (in_[i].is("(")) {
                const auto body = bodies.find(i);
                within.push_back(body != bodies.end() ? &queries_[body->second]
                                 : within.empty()     ? nullptr
                                                      : within.back());
            } else if (in_[i].is(")")) {
                if (!within.empty()) within.pop_back();
            } else if (Query* const named = named_at(i)) {
                const bool is_within = !within.empty() && within.back();
                (is_within ? within.back()->names : named_outside_).push_back(named);
            }
        }
    }

    std::size_t weight(Query& query) {
        if (query.weight > 0 || query.is_looked_at) return std::max<std::size_t>(query.weight, 1);
        query.is_looked_at = true;  // one that names itself is not copied for that
        std::size_t sum = 1;
        for (Query* const named : query.names) {
            sum += weight(*named);
            if (sum >= most) break;
        }
        query.weight = std::min(sum, most);
        return query.weight;
    }

    const std::vector<SqlToken>& in_;
    std::map<std::string, Query> queries_;
    std::set<std::size_t> definitions_;  // tokens that name a query as it is made
    std::vector<Query*> named_outside_;  // by what is no query of WITH
    bool has_odd_names_ = false;
};

}  // namespace

std::string too_complex(const std::vector<SqlToken>& tokens) {
    const auto windows = static_cast<std::size_t>(
        std::count_if(tokens.begin(), tokens.end(), [](const SqlToken& token) { return token.is("over"); }));
    if (windows > max_windows) return "more than " + std::to_string(max_windows) + " window functions";
    WithQueries queries(tokens);
    if (queries.has_odd_names()) return "a name of WITH is quoted otherwise than by \"";
    if (queries.copies() > max_with_copies)
        return "its WITH queries name each other more than " + std::to_string(max_with_copies) + " times";
    return {};
}

}  // namespace proxy
