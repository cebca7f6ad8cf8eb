// A map of limited size. Where it is full, what was used least recently goes, and nothing else: one
// that forgets everything at once forgets at every step, as soon as more is in use than it holds.
#pragma once

#include <cstddef>
#include <iterator>
#include <list>
#include <map>
#include <utility>

namespace tls {

/// One thread's. Pointers hold until their entry goes.
template <class Key, class Value>
class RecentlyUsed {
    using Order = std::list<std::pair<const Key, Value>>;  // most recently used first

   public:
    /// `max`: entries, at least one.
    explicit RecentlyUsed(std::size_t max) : max_(max) {}

    /// nullptr: there is none. It counts as used.
    Value* find(const Key& key) {
        const auto found = places_.find(key);
        if (found == places_.end()) return nullptr;
        order_.splice(order_.begin(), order_, found->second);
        return &found->second->second;
    }
    /// In place of the one that is there, if there is one. It counts as used.
    Value& put(const Key& key, Value value) {
        if (Value* const there = find(key)) return *there = std::move(value);
        if (places_.size() >= max_) {
            places_.erase(order_.back().first);
            order_.pop_back();
        }
        order_.emplace_front(key, std::move(value));
        try {
            places_.emplace(key, order_.begin());
        } catch (...) {
            order_.pop_front();
            throw;
        }
        return order_.front().second;
    }
    /// Behind all others, if there is room, and not in place of one that is there: that one stays
    /// where it is, and is given. nullptr: there is no room.
    Value* put_oldest(const Key& key, Value value) {
        if (const auto there = places_.find(key); there != places_.end()) return &there->second->second;
        if (places_.size() >= max_) return nullptr;
        order_.emplace_back(key, std::move(value));
        try {
            places_.emplace(key, std::prev(order_.end()));
        } catch (...) {
            order_.pop_back();
            throw;
        }
        return &order_.back().second;
    }
    void erase(const Key& key) {
        const auto found = places_.find(key);
        if (found == places_.end()) return;
        order_.erase(found->second);
        places_.erase(found);
    }
    void clear() noexcept {
        places_.clear();
        order_.clear();
    }

    std::size_t size() const noexcept { return places_.size(); }
    /// Most recently used first.
    typename Order::const_iterator begin() const noexcept { return order_.begin(); }
    typename Order::const_iterator end() const noexcept { return order_.end(); }

   private:
    std::size_t max_;
    Order order_;
    std::map<Key, typename Order::iterator> places_;
};

}  // namespace tls
