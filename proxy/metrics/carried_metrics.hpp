// Counters of processes whose place this one has taken (an upgrade): what they counted goes on in
// the same series, so that no counter falls. Pure; works on the text that an Exposition makes.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace proxy {

class CarriedMetrics {
   public:
    /// Adds what another process tells (Exposition::Format::text). Of one that is `alive` also its
    /// clients of now. What is about a process itself is not carried.
    void add(std::string_view text, bool alive);
    bool empty() const noexcept { return families_.empty(); }
    /// `text`, of either format, with all of it in its samples.
    std::string added_to(std::string_view text) const;

   private:
    // Series by family, as the text format names both.
    std::map<std::string, std::map<std::string, double>, std::less<>> families_;
};

}  // namespace proxy
