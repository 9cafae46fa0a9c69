// SPDX-License-Identifier: Apache-2.0
// Calls that wait for a node, and the commands that several equal ones become. Pure.
#pragma once

#include "limiter/decision.hpp"
#include "limiter/sharing/members.hpp"

#include <array>
#include <boost/container/small_vector.hpp>
#include <boost/container/static_vector.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weir::limiter::redis {

/// What a heartbeat says, and where: `key` and two more that begin with it.
struct heartbeat_words {
  std::string key, member, fingerprint;
};

/// What a node says about a call.
struct call_answer {
  errc error = errc::ok;
  const store_reply* reply = nullptr;  ///< only with ok, of a decision
  std::string_view text;               ///< the error reply, when there was one: then nothing was executed
  bool sent = false;                   ///< false: the command has not left, nothing was charged
  const heartbeat_answer* heard = nullptr;  ///< only with ok, of a heartbeat
};

/// Charges on their way to one node. Owned by whoever sends it; a node holds it from send() to on_done() or
/// withdraw().
struct call {
  using clock = std::chrono::steady_clock;
  operation op = operation::take;
  std::span<const charge> charges;  ///< all on one node; valid as long as the call is held
  const heartbeat_words* heartbeat =
      nullptr;  ///< not null: a heartbeat instead, without charges; lives as long
  clock::time_point deadline;
  bool asking = false;             ///< the slot is moving here: ASKING goes first
  std::uint8_t healed = 0;         ///< how often NOSCRIPT sent it again; kept by the node
  std::uint8_t moved_windows = 0;  ///< how often its calendar windows were wrong; kept by the node
  bool alone = false;              ///< failed inside a pack: asked by itself to hear why; kept by the node

  /// The last word about this call; it may be sent again, also from inside.
  virtual void on_done(const call_answer& answer) = 0;

 protected:
  ~call() = default;
};

/// Equal calls may become one command that asks for k times the cost: both take the same units from the same
/// rules, by the same quotas, for the same subjects. A slot has one holder, so calls that name one are never
/// equal; nor are those with a shadow charge or a penalty, whose outcome the one before may change.
[[nodiscard]] bool mergeable(const call& a, const call& b) noexcept;

/// One command and who waits for it, in the order of arrival. A place keeps its meaning when its call is
/// withdrawn after sending: null.
struct call_group {
  boost::container::small_vector<call*, 2> members;

  [[nodiscard]] call* first() const noexcept;
  [[nodiscard]] bool empty() const noexcept { return first() == nullptr; }
  /// Earliest of the members'; nothing when all have left.
  [[nodiscard]] std::optional<call::clock::time_point> deadline() const noexcept;
  /// True when the call was a member.
  bool withdraw(const call& gone) noexcept;
  /// Drops the places of those that left; only before sending.
  void compact() noexcept;
};

/// Whether this call may leave in one command with different ones, which decides each by itself: a pack.
/// Equal calls have a command of their own.
[[nodiscard]] bool packable(const call_group& group) noexcept;

/// What the call at place `position` (from 0) of `size` merged ones is told, when `whole` answered for all of
/// them and the first `admitted` were charged.
void member_reply(const store_reply& whole, std::size_t position, std::size_t size, std::size_t admitted,
                  std::span<const charge> charges, store_reply& out);

/// Calls that have not left yet.
class call_queue {
 public:
  static constexpr std::size_t max_merged = 1000;  ///< calls in one command

  /// Joins an equal call that waits, or stands at the end.
  void push(call& waiting);
  /// Stands at the end as it is: a command that has to be sent again.
  void push(call_group&& again);
  /// True when the call stood here.
  bool withdraw(const call& gone) noexcept;
  /// The number of calls.
  [[nodiscard]] std::size_t size() const noexcept { return calls_; }
  [[nodiscard]] bool empty() const noexcept { return calls_ == 0; }
  [[nodiscard]] std::optional<call::clock::time_point> deadline() const noexcept;
  /// Removes and returns a call whose deadline has come; null when there is none.
  [[nodiscard]] call* take_expired(call::clock::time_point now) noexcept;
  /// Removes and returns any call; null when there is none.
  [[nodiscard]] call* take_any() noexcept;
  /// Everything, in order; some may be empty. Valid until the next take_all().
  [[nodiscard]] std::span<call_group> take_all();

  /// An empty group with room for many calls: that of recycled ones, so that a steady load allocates nothing.
  [[nodiscard]] call_group roomy();
  /// Takes the room of a group that is done with.
  void recycle(call_group&& done) noexcept;

 private:
  static constexpr std::size_t index_size = 512;
  static constexpr std::size_t usual_room = 32;   // calls
  static constexpr std::size_t most_spares = 32;  // of at most max_merged calls each
  struct index_entry {
    std::uint64_t batch = 0;
    std::uint32_t group = 0;
  };

  void join(call_group& group, call& waiting);

  std::vector<call_group> groups_;
  std::vector<call_group> leaving_;  // what take_all() gave out
  boost::container::static_vector<call_group, most_spares> spares_;
  std::size_t calls_ = 0;
  std::uint64_t batch_ = 1;
  // Where a group with this hash stands; a newer one may take the place, then two groups stay apart.
  std::array<index_entry, index_size> index_{};
};

}  // namespace weir::limiter::redis
