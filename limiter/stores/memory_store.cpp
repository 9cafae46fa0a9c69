// SPDX-License-Identifier: Apache-2.0
#include "limiter/stores/memory_store.hpp"

#include "limiter/algorithms/algorithm.hpp"
#include "limiter/penalty.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <boost/container/small_vector.hpp>
#include <boost/endian/conversion.hpp>
#include <chrono>
#include <cstring>
#include <mutex>
#include <new>
#include <random>
#include <type_traits>
#include <utility>
#include <vector>

namespace weir::limiter {
namespace {

/// One rule's state for one subject, in one cache line.
struct alignas(64) entry {
  subject_key subject;
  std::array<char, 4> rid{};
  char letter =
      0;  // of the algorithm, which never reads another one's state; `penalty_letter`; 0 = free slot
  std::uint32_t hash = 0;
  stored_state state;
};
static_assert(sizeof(entry) == 64);

/// Of the entry that blocks a key: its state is nothing but the instant at which that ends.
constexpr char penalty_letter = 'p';

__extension__ using unsigned_wide = unsigned __int128;

/// Keyed hash of an entry's name. Subjects are chosen by clients: without a secret they could aim at one
/// slot.
class name_hash {
 public:
  name_hash() {
    std::random_device random;
    for (std::uint64_t& word : secret_) word = (std::uint64_t{random()} << 32) | random();
  }

  [[nodiscard]] std::uint64_t operator()(const subject_key& subject) const noexcept {
    const auto words = subject.words();
    return fold(words[2] ^ secret_[2], fold(words[0] ^ secret_[0], words[1] ^ secret_[1]) ^ secret_[3]);
  }

  [[nodiscard]] std::uint64_t operator()(std::uint64_t subject_hash, const std::array<char, 4>& rid,
                                         char letter) const noexcept {
    std::uint32_t id = 0;
    std::memcpy(&id, rid.data(), sizeof id);
    const auto tail = (std::uint64_t{id} << 8) | static_cast<unsigned char>(letter);
    return fold(tail ^ secret_[2], subject_hash ^ secret_[1]);
  }

 private:
  static std::uint64_t fold(std::uint64_t a, std::uint64_t b) noexcept {
    const unsigned_wide product = static_cast<unsigned_wide>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  }

  std::array<std::uint64_t, 4> secret_{};
};

/// The entries of one shard: open addressing with linear probing, an entry lives in its slot. Beside them a
/// tag of one byte per slot, part of the hash: eight are compared at once, so that a look-up seldom reads
/// another entry than its own and has nothing to guess. Not thread-safe.
class entry_table {
 public:
  static constexpr std::size_t npos = ~std::size_t{0};

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] entry& operator[](std::size_t position) noexcept { return slots_[position]; }

  /// Fetches what find() will probably read. Needs no lock: at worst it fetches in vain, while the table
  /// grows.
  void prefetch(std::uint32_t hash) const noexcept {
    const std::uintptr_t hint = hint_.load(std::memory_order_relaxed);
    const std::uintptr_t home = hash & ((std::uintptr_t{1} << (hint % sizeof(entry))) - 1);
    // NOLINTNEXTLINE(performance-no-int-to-ptr): it was one
    __builtin_prefetch(reinterpret_cast<const void*>(hint - hint % sizeof(entry) + home * sizeof(entry)));
  }

  /// Null when there is none; valid until an entry comes or goes.
  [[nodiscard]] entry* find(std::uint32_t hash, const subject_key& subject, const std::array<char, 4>& rid,
                            char letter) noexcept {
    for (std::size_t i = home(hash);; i = (i + tags_at_once) & mask_) {
      const std::uint64_t tags = tags_from(i);
      for (std::uint64_t found = equal(tags, tag_of(hash)); found != 0; found &= found - 1) {
        entry& e = slots_[(i + static_cast<std::size_t>(std::countr_zero(found)) / 8) & mask_];
        if (e.hash == hash && e.subject == subject && e.letter == letter && word(e.rid) == word(rid))
          return &e;
      }
      if ((~tags & top_bits) != 0) return nullptr;
    }
  }

  /// The next entry at or after a slot, cyclically. Not for an empty table.
  [[nodiscard]] std::size_t occupied_from(std::size_t slot) const noexcept {
    std::size_t i = slot & mask_;
    while (tags_[i] == 0) i = next(i);
    return i;
  }

  /// Moves other entries when it runs out of slots.
  void insert(entry&& e, std::int64_t now_us) {
    if (size_ + 1 > limit()) make_space(now_us);
    place(std::move(e));
    ++size_;
  }

  /// Closes the gap by moving other entries, so that no tombstones pile up.
  void erase(std::size_t gap) noexcept {
    for (std::size_t i = next(gap); tags_[i] != 0; i = next(i)) {
      if (((i - home(slots_[i].hash)) & mask_) < ((i - gap) & mask_)) continue;
      slots_[gap] = std::move(slots_[i]);
      set_tag(gap, tags_[i]);
      gap = i;
    }
    slots_[gap] = {};
    set_tag(gap, 0);
    --size_;
  }

 private:
  static constexpr std::size_t tags_at_once = sizeof(std::uint64_t);
  static constexpr std::uint64_t every_byte = 0x0101010101010101u;
  static constexpr std::uint64_t top_bits = 0x80 * every_byte;

  // One comparison; that of arrays is a call of memcmp.
  static std::uint32_t word(const std::array<char, 4>& rid) noexcept {
    return std::bit_cast<std::uint32_t>(rid);
  }
  // Never 0, which is a free slot. Of the bits that do not choose the slot.
  static std::uint8_t tag_of(std::uint32_t hash) noexcept {
    return static_cast<std::uint8_t>(0x80 | hash >> 25);
  }
  // The top bit of each byte that equals `tag`, and seldom that of a byte above one.
  static std::uint64_t equal(std::uint64_t tags, std::uint8_t tag) noexcept {
    const std::uint64_t differ = tags ^ (tag * every_byte);
    return (differ - every_byte) & ~differ & top_bits;
  }
  // The tag of slot i in the lowest byte.
  [[nodiscard]] std::uint64_t tags_from(std::size_t i) const noexcept {
    std::uint64_t tags = 0;
    std::memcpy(&tags, &tags_[i], sizeof tags);
    return boost::endian::little_to_native(tags);
  }
  void set_tag(std::size_t i, std::uint8_t tag) noexcept {
    tags_[i] = tag;
    if (i < tags_at_once) tags_[i + mask_ + 1] = tag;  // who reads on at the end finds the beginning
  }
  [[nodiscard]] std::size_t limit() const noexcept { return (mask_ + 1) / 8 * 7; }
  [[nodiscard]] std::size_t home(std::uint32_t hash) const noexcept { return hash & mask_; }
  [[nodiscard]] std::size_t next(std::size_t i) const noexcept { return (i + 1) & mask_; }

  void place(entry&& e) noexcept {
    std::size_t i = home(e.hash);
    while (tags_[i] != 0) i = next(i);
    set_tag(i, tag_of(e.hash));
    slots_[i] = std::move(e);
  }

  // Forgets what has expired (it means nothing) and doubles only when that is not enough.
  void make_space(std::int64_t now_us) {
    const auto live = [now_us](const entry& e) { return e.letter != 0 && e.state.expires_at_us >= now_us; };
    const std::span before(slots_.get(), mask_ + 1);
    const auto kept = static_cast<std::size_t>(std::count_if(before.begin(), before.end(), live));
    const std::size_t slots = kept > limit() / 2 ? 2 * before.size() : before.size();
    auto spare = std::make_unique<entry[]>(slots);
    tags_ = std::make_unique<std::uint8_t[]>(slots + tags_at_once);
    spare.swap(slots_);
    mask_ = slots - 1;
    size_ = kept;
    for (entry& e : before) {
      if (live(e)) place(std::move(e));
    }
    hint_.store(hint(), std::memory_order_relaxed);
  }

  // Where the slots lie, and in the bits that their alignment leaves free the logarithm of their number.
  [[nodiscard]] std::uintptr_t hint() const noexcept {
    return reinterpret_cast<std::uintptr_t>(slots_.get()) + static_cast<std::uintptr_t>(std::popcount(mask_));
  }

  std::size_t mask_ = 63;  // slots - 1, their number is a power of two
  std::unique_ptr<entry[]> slots_ = std::make_unique<entry[]>(mask_ + 1);
  std::unique_ptr<std::uint8_t[]> tags_ = std::make_unique<std::uint8_t[]>(mask_ + 1 + tags_at_once);
  std::size_t size_ = 0;
  std::atomic<std::uintptr_t> hint_ = hint();
};

struct alignas(64) shard {
  std::mutex mutex;
  entry_table table;
  std::uint64_t random = 0;           // state of the eviction sampler
  std::atomic<std::int64_t> keys{0};  // table.size(), readable without the lock

  void count_keys() noexcept {
    keys.store(static_cast<std::int64_t>(table.size()), std::memory_order_relaxed);
  }
};

/// One charge on its way through the two phases.
struct step {
  const charge* asked = nullptr;
  const rule* matched = nullptr;
  const limiter::quota* measure = nullptr;
  const algorithm_functions* algorithm = nullptr;
  const subject_key* subject = nullptr;
  shard* home = nullptr;
  std::uint64_t subject_hash = 0;
  std::uint32_t hash = 0;
  std::uint32_t block_hash = 0;
  shard* block_home = nullptr;       // null: no penalty, or the operation knows none
  std::int64_t stored_block_us = 0;  // end of the block, 0 = none
  block penalty;
  std::int64_t cost = 0;
  std::int64_t refused_for_us = 0;  // > 0: there is no place for a new key (deny_new)
  stored_state fresh;               // of a key the table does not hold yet
  stored_state* state = &fresh;     // in the table, until an entry moves
  parameters quota;                 // known once the clock is
  evaluation outcome;

  [[nodiscard]] bool is_new() const noexcept { return state == &fresh; }
};
using steps = boost::container::small_vector<step, 4>;

/// Makes an answer where it stays: a copy of what was stored last waits for all stores before.
template <class T, class F>
void remake(T& place, const F& make) {
  static_assert(std::is_trivially_destructible_v<T>);
  ::new (&place) T(make());
}

std::uint64_t next_random(std::uint64_t& state) noexcept {  // splitmix64
  state += 0x9e3779b97f4a7c15u;
  std::uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

// '~' is no base64url character: no request has this subject.
const subject_key overflow_subject = [] {
  subject_key key;
  key.text.fill('~');
  return key;
}();

std::function<std::int64_t()> anchored_clock() {
  using std::chrono::microseconds;
  const auto to_us = [](auto duration) { return std::chrono::duration_cast<microseconds>(duration).count(); };
  const std::int64_t anchor = to_us(std::chrono::system_clock::now().time_since_epoch()) -
                              to_us(std::chrono::steady_clock::now().time_since_epoch());
  return [anchor, to_us] { return anchor + to_us(std::chrono::steady_clock::now().time_since_epoch()); };
}

// A new key that found no place asks again after at most so long: others may be given back or expire earlier
// than the sample knows.
constexpr std::int64_t longest_refusal_us = 1'000'000;

// Small tables get few shards: a shard must be large enough for the eviction sample to mean something.
std::size_t shard_count(const memory_table::options& o) noexcept {
  constexpr std::int64_t smallest_shard = 256;
  const std::int64_t wanted = std::clamp<std::int64_t>(o.max_keys / smallest_shard, 1, std::max(1, o.shards));
  return std::bit_floor(static_cast<std::size_t>(wanted));
}

}  // namespace

struct memory_table::impl {
  explicit impl(options o)
      : clock(o.clock ? std::move(o.clock) : anchored_clock()),
        shards(shard_count(o)),
        shard_capacity(static_cast<std::size_t>(
            std::clamp<std::int64_t>(o.max_keys / static_cast<std::int64_t>(shards.size()), 1, 1 << 30))),
        full(o.when_full) {
    std::random_device random;
    for (shard& s : shards) s.random = random();
  }

  using locks = boost::container::small_vector<std::unique_lock<std::mutex>, 4>;

  void prepare(std::span<const charge> charges, steps& work);
  void lock_shards(const steps& work, locks& held);
  bool locate(operation op, steps& work, locks& held, std::int64_t now_us);
  bool has_place(const step& s, const steps& work) const noexcept;
  bool make_place(operation op, shard& home, const steps& work, std::int64_t now_us,
                  std::int64_t& soonest_us);
  void redirect_to_overflow(step& s, locks& held);
  void read_block(step& s);
  static void judge_block(step& s, std::int64_t now_us);
  void keep_block(step& s, std::int64_t now_us);
  static void read_quota(operation op, step& s, std::int64_t now_us) noexcept;
  static void conclude(operation op, steps& work, std::int64_t now_us, std::int64_t k, store_reply& reply);
  static std::int64_t admit_equals(steps& work, std::int64_t now_us, std::int64_t k);
  void settle(step& s, std::int64_t now_us);

  const std::function<std::int64_t()> clock;
  const name_hash hash;
  std::vector<shard> shards;
  const std::size_t shard_capacity;
  const when_full full;
  shard overflow;  // one bucket per rule for keys that found no room; locked after all others
  std::atomic<std::int64_t> evictions{0};
};

void memory_table::impl::prepare(std::span<const charge> charges, steps& work) {
  work.resize(charges.size(), boost::container::default_init);  // each member has its first value
  const step* before = nullptr;
  step* next = work.data();
  for (const charge& c : charges) {
    step& s = *next++;
    s.asked = &c;
    s.matched = c.matched;
    s.measure = &c.quota();
    s.algorithm = &functions_of(*s.measure);
    s.subject = &c.subject;
    if (before != nullptr && c.subject == *before->subject) {  // rules often share a key
      s.subject_hash = before->subject_hash;
      s.home = before->home;
    } else {
      s.subject_hash = hash(c.subject);
      s.home = &shards[(s.subject_hash >> 40) & (shards.size() - 1)];
    }
    s.hash = static_cast<std::uint32_t>(hash(s.subject_hash, c.matched->rid.id, s.algorithm->letter));
    s.home->table.prefetch(s.hash);  // arrives while the lock is taken and the clock read
    before = &s;
  }
}

void memory_table::impl::lock_shards(const steps& work, locks& held) {
  boost::container::small_vector<shard*, 4> wanted;
  for (const step& s : work) {
    if (wanted.empty() || wanted.back() != s.home) wanted.push_back(s.home);
  }
  if (wanted.size() > 1) {
    std::sort(wanted.begin(), wanted.end());  // shards are one array: address order is index order
    wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
  }
  for (shard* s : wanted) held.emplace_back(s->mutex);
}

// True when the table holds no entry yet for some step.
bool memory_table::impl::locate(operation op, steps& work, locks& held, std::int64_t now_us) {
  const auto find = [](step& s) {
    entry* const e = s.home->table.find(s.hash, *s.subject, s.matched->rid.id, s.algorithm->letter);
    s.state = e != nullptr ? &e->state : &s.fresh;
  };
  bool any_new = false;
  bool was_full = false;
  for (step& s : work) {
    find(s);
    if (!s.is_new()) continue;
    any_new = true;
    if (has_place(s, work)) continue;
    was_full = true;
    std::int64_t soonest_us = now_us + longest_refusal_us;
    if (make_place(op, *s.home, work, now_us, soonest_us)) continue;
    if (full == when_full::deny_new) {
      const bool asks = s.cost > 0 && op != operation::refund && op != operation::renew;
      s.refused_for_us = asks ? std::max<std::int64_t>(1, soonest_us + 1 - now_us) : 0;
    } else {
      redirect_to_overflow(s, held);
    }
  }
  if (was_full) std::for_each(work.begin(), work.end(), find);  // an eviction moves entries
  return any_new;
}

// Room for the new key of `s` beside those of the steps before it.
bool memory_table::impl::has_place(const step& s, const steps& work) const noexcept {
  std::size_t needed = s.home->table.size() + 1;
  for (const step* other = work.data(); other != &s; ++other) {
    if (other->home == s.home && other->is_new()) ++needed;
  }
  return needed <= shard_capacity;
}

// Gives up the sampled entry that knows least: an expired one, else the one nearest to expiry. A key that
// denies is never given up, or spraying new keys would free a blocked one; nor is a key of this call. Unless
// the table evicts, only an expired one is. False: there is none; `soonest_us` becomes when the first one
// expires.
bool memory_table::impl::make_place(operation op, shard& home, const steps& work, std::int64_t now_us,
                                    std::int64_t& soonest_us) {
  constexpr std::size_t samples = 16;
  if (home.table.size() == 0) return false;  // this call alone names more new keys than a shard holds
  std::size_t victim = entry_table::npos;
  std::size_t position = next_random(home.random);  // neighbours in a keyed hash have nothing in common
  for (std::size_t i = 0; i < std::min(samples, home.table.size()); ++i, ++position) {
    position = home.table.occupied_from(position);
    const entry& e = home.table[position];
    const bool live = e.state.expires_at_us >= now_us;
    if (live) soonest_us = std::min(soonest_us, e.state.expires_at_us);
    if (live && (full != when_full::evict || e.state.pinned_until_us > now_us)) continue;
    if (std::any_of(work.begin(), work.end(), [&](const step& s) { return *s.subject == e.subject; }))
      continue;
    if (victim == entry_table::npos || e.state.expires_at_us < home.table[victim].state.expires_at_us) {
      victim = position;
    }
  }
  if (victim == entry_table::npos) return false;
  if (op != operation::take && op != operation::take_upto) return true;  // others store no new key
  if (home.table[victim].state.expires_at_us >= now_us) evictions.fetch_add(1, std::memory_order_relaxed);
  home.table.erase(victim);
  home.count_keys();
  return true;
}

void memory_table::impl::redirect_to_overflow(step& s, locks& held) {
  if (held.back().mutex() != &overflow.mutex) held.emplace_back(overflow.mutex);
  s.home = &overflow;
  s.subject = &overflow_subject;
  s.hash = static_cast<std::uint32_t>(hash(hash(overflow_subject), s.matched->rid.id, s.algorithm->letter));
}

// A refund gives nothing back to a window that has closed since the charge.
void memory_table::impl::read_quota(operation op, step& s, std::int64_t now_us) noexcept {
  remake(s.quota, [&] { return s.algorithm->to_parameters(*s.measure, now_us); });
  s.quota.holder = s.asked->holder;
  s.cost = s.asked->cost;
  if (op != operation::refund) return;
  const std::int64_t charged_at_us = s.asked->charged_at_us;
  if (charged_at_us > 0 && s.algorithm->began != nullptr &&
      charged_at_us < s.algorithm->began(s.quota, now_us)) {
    s.cost = 0;
  }
  if (s.asked->aged && s.algorithm->id == algorithm::token_bucket)
    s.quota.values[3] = std::max<std::int64_t>(0, now_us - charged_at_us);
}

void memory_table::impl::read_block(step& s) {
  s.block_home = s.home;
  s.block_hash = static_cast<std::uint32_t>(hash(s.subject_hash, s.matched->rid.id, penalty_letter));
  const entry* const found = s.home->table.find(s.block_hash, *s.subject, s.matched->rid.id, penalty_letter);
  if (found != nullptr) s.stored_block_us = found->state.expires_at_us;
}

// Who found no place, or only the bucket of all who found none, has not been over the limit itself.
void memory_table::impl::judge_block(step& s, std::int64_t now_us) {
  s.penalty = apply_penalty(s.stored_block_us, s.matched->penalty_us, s.cost, now_us, s.outcome);
  if (s.refused_for_us > 0 || s.home != s.block_home) s.penalty.ends_us = s.penalty.read_us;
}

// A block is kept even where a new key would find no place, up to twice the bound, and pinned like any key
// that denies. Beyond that a key is denied by its limit alone.
void memory_table::impl::keep_block(step& s, std::int64_t now_us) {
  const std::int64_t ends_us = s.penalty.ends_us;
  if (ends_us == s.stored_block_us || ends_us <= now_us) return;
  entry_table& table = s.block_home->table;
  stored_state state;
  state.expires_at_us = state.pinned_until_us = ends_us;
  const subject_key& subject = s.asked->subject;
  entry* const found = table.find(s.block_hash, subject, s.matched->rid.id, penalty_letter);
  if (found != nullptr) {
    found->state = std::move(state);
    return;
  }
  if (table.size() >= 2 * shard_capacity) return;
  table.insert({subject, s.matched->rid.id, penalty_letter, s.block_hash, std::move(state)}, now_us);
  s.block_home->count_keys();
}

// How many of k equal requests every rule allows, one after the other: at least one, which `outcome` is of.
// Makes it the outcome of all of them.
std::int64_t memory_table::impl::admit_equals(steps& work, std::int64_t now_us, std::int64_t k) {
  std::int64_t admitted = k;
  for (step& s : work) {
    if (s.cost == 0 || s.algorithm->id == algorithm::concurrency) continue;  // one holder, one slot
    const std::int64_t most = s.cost * k;
    const auto together = s.algorithm->evaluate(*s.state, s.quota, operation::take_upto, most, now_us);
    admitted = std::min(admitted, together.granted / s.cost);
  }
  for (step& s : work) {
    if (s.algorithm->id == algorithm::concurrency) continue;
    s.outcome.used_after = s.outcome.used + (s.outcome.used_after - s.outcome.used) * admitted;
  }
  return admitted;
}

void memory_table::impl::conclude(operation op, steps& work, std::int64_t now_us, std::int64_t k,
                                  store_reply& reply) {
  bool all_allowed = true;
  for (step& s : work) {
    remake(s.outcome, [&] { return s.algorithm->evaluate(*s.state, s.quota, op, s.cost, now_us); });
    if (s.refused_for_us > 0) {
      s.outcome.allowed = false;
      if (s.outcome.retry_after_us >= 0) s.outcome.retry_after_us = s.refused_for_us;
    }
    if (s.block_home != nullptr) judge_block(s, now_us);
    all_allowed &= s.outcome.allowed || (s.asked->shadow && admits(op));
  }
  reply.now_us = now_us;
  reply.admitted = all_allowed ? 1 : 0;
  if (k > 1 && all_allowed) reply.admitted = admit_equals(work, now_us, k);
  const bool by_itself = op == operation::refund || op == operation::renew;
  const bool commit = op != operation::peek && (all_allowed || by_itself);
  reply.states.resize(work.size());
  for (std::size_t i = 0; i < work.size(); ++i) {
    step& s = work[i];
    const bool commits = commit && (by_itself || s.outcome.allowed);  // a shadow charge may not
    rule_state& answer = reply.states[i];
    s.algorithm->conclude(*s.state, s.quota, s.outcome, commits, now_us, answer);
    if (s.refused_for_us > 0) answer.remaining = 0;
    if (s.block_home == nullptr) continue;
    show_block(op == operation::take ? s.penalty.ends_us : s.penalty.read_us, now_us, answer);
  }
  if (!all_allowed || reply.admitted == k) return;
  for (std::size_t i = 0; i < work.size(); ++i) {  // what denies the first request that does not pass
    step& s = work[i];
    const auto next = s.algorithm->evaluate(*s.state, s.quota, op, s.cost, now_us);
    reply.states[i].allowed = next.allowed;
    reply.states[i].retry_after_us = next.retry_after_us;
  }
}

// Takes a new state into the table. One emptied by a refund stays until its place is needed: it has expired.
void memory_table::impl::settle(step& s, std::int64_t now_us) {
  if (!s.is_new() || s.fresh.unused()) return;
  s.home->table.insert({*s.subject, s.matched->rid.id, s.algorithm->letter, s.hash, std::move(s.fresh)},
                       now_us);
  s.home->count_keys();
}

memory_table::memory_table(options o) : impl_(std::make_unique<impl>(std::move(o))) {}
memory_table::~memory_table() = default;

void memory_table::execute(operation op, std::span<const charge> charges, store_reply& reply,
                           std::int64_t k) {
  steps work;
  impl_->prepare(charges, work);
  impl::locks held;
  impl_->lock_shards(work, held);
  const std::int64_t now_us = impl_->clock();  // under the locks: a key never sees its own past
  bool any_block = false;
  for (step& s : work) {
    impl::read_quota(op, s, now_us);
    if (s.matched->penalty_us == 0 || !admits(op)) continue;
    impl_->read_block(s);
    any_block = true;
  }
  const bool any_new = impl_->locate(op, work, held, now_us);
  impl::conclude(op, work, now_us, k, reply);
  if (any_new) {
    for (step& s : work) impl_->settle(s, now_us);
  }
  if (!any_block || op != operation::take) return;
  for (step& s : work) {
    if (s.block_home != nullptr) impl_->keep_block(s, now_us);
  }
}

std::int64_t memory_table::keys() const noexcept {
  std::int64_t sum = impl_->overflow.keys.load(std::memory_order_relaxed);
  for (const shard& s : impl_->shards) sum += s.keys.load(std::memory_order_relaxed);
  return sum;
}

std::int64_t memory_table::evictions() const noexcept {
  return impl_->evictions.load(std::memory_order_relaxed);
}

void memory_store::execute(operation op, std::span<const charge> charges, store_waiter& waiter) {
  store_reply reply;
  table_->execute(op, charges, reply);
  waiter.on_store_reply(errc::ok, reply);
}

}  // namespace weir::limiter
