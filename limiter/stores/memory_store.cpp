// SPDX-License-Identifier: Apache-2.0
#include "limiter/stores/memory_store.hpp"

#include "limiter/algorithms/algorithm.hpp"
#include "limiter/penalty.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <boost/container/small_vector.hpp>
#include <chrono>
#include <cstring>
#include <mutex>
#include <random>
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
    const char* text = subject.text.data();
    const std::uint64_t head = fold(load(text) ^ secret_[0], load(text + 8) ^ secret_[1]);
    return fold(load(text + subject.text.size() - 8) ^ secret_[2], head ^ secret_[3]);
  }

  [[nodiscard]] std::uint64_t operator()(std::uint64_t subject_hash, const std::array<char, 4>& rid,
                                         char letter) const noexcept {
    std::uint32_t id = 0;
    std::memcpy(&id, rid.data(), sizeof id);
    const auto tail = (std::uint64_t{id} << 8) | static_cast<unsigned char>(letter);
    return fold(tail ^ secret_[2], subject_hash ^ secret_[1]);
  }

 private:
  static std::uint64_t load(const char* bytes) noexcept {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes, sizeof word);
    return word;
  }
  static std::uint64_t fold(std::uint64_t a, std::uint64_t b) noexcept {
    const unsigned_wide product = static_cast<unsigned_wide>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  }

  std::array<std::uint64_t, 4> secret_{};
};

/// The entries of one shard: open addressing with linear probing, an entry lives in its slot. Not
/// thread-safe.
class entry_table {
 public:
  static constexpr std::size_t npos = ~std::size_t{0};

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] entry& operator[](std::size_t position) noexcept { return slots_[position]; }

  void prefetch(std::uint32_t hash) const noexcept { __builtin_prefetch(&slots_[home(hash)]); }

  [[nodiscard]] std::size_t find(std::uint32_t hash, const subject_key& subject,
                                 const std::array<char, 4>& rid, char letter) const noexcept {
    for (std::size_t i = home(hash); slots_[i].letter != 0; i = next(i)) {
      const entry& e = slots_[i];
      if (e.hash == hash && e.subject == subject && e.letter == letter && word(e.rid) == word(rid)) return i;
    }
    return npos;
  }

  /// The next entry at or after a slot, cyclically. Not for an empty table.
  [[nodiscard]] std::size_t occupied_from(std::size_t slot) const noexcept {
    std::size_t i = slot & (slots_.size() - 1);
    while (slots_[i].letter == 0) i = next(i);
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
    for (std::size_t i = next(gap); slots_[i].letter != 0; i = next(i)) {
      const std::size_t mask = slots_.size() - 1;
      if (((i - home(slots_[i].hash)) & mask) < ((i - gap) & mask)) continue;
      slots_[gap] = std::move(slots_[i]);
      gap = i;
    }
    slots_[gap] = {};
    --size_;
  }

 private:
  // One comparison; that of arrays is a call of memcmp.
  static std::uint32_t word(const std::array<char, 4>& rid) noexcept {
    return std::bit_cast<std::uint32_t>(rid);
  }
  [[nodiscard]] std::size_t limit() const noexcept { return slots_.size() / 4 * 3; }
  [[nodiscard]] std::size_t home(std::uint32_t hash) const noexcept { return hash & (slots_.size() - 1); }
  [[nodiscard]] std::size_t next(std::size_t i) const noexcept { return (i + 1) & (slots_.size() - 1); }

  void place(entry&& e) noexcept {
    std::size_t i = home(e.hash);
    while (slots_[i].letter != 0) i = next(i);
    slots_[i] = std::move(e);
  }

  // Forgets what has expired (it means nothing) and doubles only when that is not enough.
  void make_space(std::int64_t now_us) {
    const auto expired = [now_us](const entry& e) { return e.letter == 0 || e.state.expires_at_us < now_us; };
    size_ = slots_.size() - static_cast<std::size_t>(std::count_if(slots_.begin(), slots_.end(), expired));
    std::vector<entry> old(size_ > limit() / 2 ? slots_.size() * 2 : slots_.size());
    old.swap(slots_);
    for (entry& e : old) {
      if (!expired(e)) place(std::move(e));
    }
  }

  std::vector<entry> slots_ = std::vector<entry>(64);
  std::size_t size_ = 0;
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
  const rule* matched = nullptr;
  const algorithm_functions* algorithm = nullptr;
  parameters quota;  // known once the clock is
  const charge* asked = nullptr;
  std::int64_t cost = 0;
  std::int64_t refused_for_us = 0;  // > 0: there is no place for a new key (deny_new)
  shard* home = nullptr;
  const subject_key* subject = nullptr;
  std::uint32_t hash = 0;
  std::size_t position = entry_table::npos;
  shard* block_home = nullptr;  // null: no penalty, or the operation knows none
  std::uint32_t block_hash = 0;
  std::int64_t stored_block_us = 0;  // end of the block, 0 = none
  block penalty;
  stored_state fresh;  // state of a key the table does not hold yet
  evaluation outcome;

  [[nodiscard]] stored_state& state() noexcept {
    return position == entry_table::npos ? fresh : home->table[position].state;
  }
};
using steps = boost::container::small_vector<step, 4>;

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
  void locate(operation op, steps& work, locks& held, std::int64_t now_us);
  bool has_place(const step& s, const steps& work) const noexcept;
  bool make_place(operation op, shard& home, const steps& work, std::int64_t now_us,
                  std::int64_t& soonest_us);
  void redirect_to_overflow(step& s, locks& held);
  void read_blocks(operation op, steps& work);
  static void judge_block(step& s, std::int64_t now_us);
  void keep_block(step& s, std::int64_t now_us);
  static void read_quotas(operation op, steps& work, std::int64_t now_us) noexcept;
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
  for (std::size_t i = 0; i < charges.size(); ++i) {
    step& s = work[i];
    s.matched = charges[i].matched;
    s.asked = &charges[i];
    s.algorithm = &functions_of(charges[i].quota());
    s.subject = &charges[i].subject;
    const std::uint64_t subject_hash = hash(*s.subject);
    s.home = &shards[(subject_hash >> 40) & (shards.size() - 1)];
    s.hash = static_cast<std::uint32_t>(hash(subject_hash, s.matched->rid.id, s.algorithm->letter));
  }
}

void memory_table::impl::lock_shards(const steps& work, locks& held) {
  boost::container::small_vector<shard*, 4> wanted;
  for (const step& s : work) wanted.push_back(s.home);
  std::sort(wanted.begin(), wanted.end());  // shards are one array: address order is index order
  wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
  for (shard* s : wanted) held.emplace_back(s->mutex);
}

void memory_table::impl::locate(operation op, steps& work, locks& held, std::int64_t now_us) {
  const auto find = [](step& s) {
    s.position = s.home->table.find(s.hash, *s.subject, s.matched->rid.id, s.algorithm->letter);
  };
  bool was_full = false;
  for (step& s : work) {
    find(s);
    if (s.position != entry_table::npos || has_place(s, work)) continue;
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
}

// Room for the new key of `s` beside those of the steps before it.
bool memory_table::impl::has_place(const step& s, const steps& work) const noexcept {
  std::size_t needed = s.home->table.size() + 1;
  for (const step* other = work.data(); other != &s; ++other) {
    if (other->home == s.home && other->position == entry_table::npos) ++needed;
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
void memory_table::impl::read_quotas(operation op, steps& work, std::int64_t now_us) noexcept {
  for (step& s : work) {
    s.quota = s.algorithm->to_parameters(s.asked->quota(), now_us);
    s.quota.holder = s.asked->holder;
    const std::int64_t charged_at_us = s.asked->charged_at_us;
    const bool closed = op == operation::refund && charged_at_us > 0 && s.algorithm->began != nullptr &&
                        charged_at_us < s.algorithm->began(s.quota, now_us);
    s.cost = closed ? 0 : s.asked->cost;
    if (op == operation::refund && s.asked->aged && s.algorithm->id == algorithm::token_bucket)
      s.quota.values[3] = std::max<std::int64_t>(0, now_us - charged_at_us);
  }
}

void memory_table::impl::read_blocks(operation op, steps& work) {
  if (!admits(op)) return;
  for (step& s : work) {
    if (s.matched->penalty_us == 0) continue;
    s.block_home = s.home;
    s.block_hash = static_cast<std::uint32_t>(hash(hash(*s.subject), s.matched->rid.id, penalty_letter));
    const std::size_t found = s.home->table.find(s.block_hash, *s.subject, s.matched->rid.id, penalty_letter);
    if (found != entry_table::npos) s.stored_block_us = s.home->table[found].state.expires_at_us;
  }
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
  const std::size_t found = table.find(s.block_hash, subject, s.matched->rid.id, penalty_letter);
  if (found != entry_table::npos) {
    table[found].state = std::move(state);
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
    const auto together = s.algorithm->evaluate(s.state(), s.quota, operation::take_upto, most, now_us);
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
    s.outcome = s.algorithm->evaluate(s.state(), s.quota, op, s.cost, now_us);
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
  reply.states.clear();
  for (step& s : work) {
    const bool commits = commit && (by_itself || s.outcome.allowed);  // a shadow charge may not
    rule_state& answer = reply.states.emplace_back();
    s.algorithm->conclude(s.state(), s.quota, s.outcome, commits, now_us, answer);
    if (s.refused_for_us > 0) answer.remaining = 0;
    const bool stored = op == operation::take;
    show_block(stored ? s.penalty.ends_us : s.penalty.read_us, now_us, answer);
  }
  if (!all_allowed || reply.admitted == k) return;
  for (std::size_t i = 0; i < work.size(); ++i) {  // what denies the first request that does not pass
    step& s = work[i];
    const auto next = s.algorithm->evaluate(s.state(), s.quota, op, s.cost, now_us);
    reply.states[i].allowed = next.allowed;
    reply.states[i].retry_after_us = next.retry_after_us;
  }
}

// Takes a new state into the table. One emptied by a refund stays until its place is needed: it has expired.
void memory_table::impl::settle(step& s, std::int64_t now_us) {
  if (s.position != entry_table::npos || s.fresh.unused()) return;
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
  for (const step& s : work) s.home->table.prefetch(s.hash);  // arrives while the clock is read
  const std::int64_t now_us = impl_->clock();  // under the locks: a key never sees its own past
  impl::read_quotas(op, work, now_us);
  impl_->read_blocks(op, work);
  impl_->locate(op, work, held, now_us);
  impl::conclude(op, work, now_us, k, reply);
  for (step& s : work) impl_->settle(s, now_us);
  if (op != operation::take) return;
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
