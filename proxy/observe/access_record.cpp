// SPDX-License-Identifier: Apache-2.0
#include "proxy/observe/access_record.hpp"

#include "proxy/observe/json_writer.hpp"

#include <array>
#include <charconv>

namespace weir::proxy {
namespace {

constexpr std::size_t max_field = 2048;  // bytes of one value before it is cut

/// Writes the members of one flat object; absent values write nothing.
class record_writer {
 public:
  explicit record_writer(std::string& out) : out_(out) {}

  /// `key` is `,"name":` so that a member costs one append for its name.
  void text(std::string_view key, std::string_view value) {
    if (value.empty()) return;
    out_ += key;
    if (value.size() > max_field) {
      value = cut(value);
      truncated_ = true;
    }
    append_json_string(out_, value);
  }

  template <class Integer>
  void number(std::string_view key, Integer value) {
    std::array<char, 24> digits;
    out_ += key;
    out_.append(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr);
  }

  void optional_number(std::string_view key, std::int64_t value) {
    if (value >= 0) number(key, value);
  }

  void optional_milliseconds(std::string_view key, std::int64_t us) {
    if (us < 0) return;
    out_ += key;
    append_json_milliseconds(out_, us);
  }

  [[nodiscard]] bool truncated() const noexcept { return truncated_; }

 private:
  /// Not inside a UTF-8 sequence, which would turn a whole character into escapes.
  static std::string_view cut(std::string_view value) noexcept {
    std::size_t size = max_field;
    while (size > max_field - 4 && (static_cast<unsigned char>(value[size]) & 0xc0) == 0x80) --size;
    return value.substr(0, size);
  }

  std::string& out_;
  bool truncated_ = false;
};

}  // namespace

std::string_view to_string(record_decision d) noexcept {
  switch (d) {
    case record_decision::allow:
      return "allow";
    case record_decision::deny:
      return "deny";
    case record_decision::rejected:
      break;
  }
  return "rejected";
}

void append_json(std::string& out, const access_record& r) {
  out += "{\"ts\":";
  append_json_time(out, r.time_us);
  record_writer w(out);
  w.text(",\"request_id\":", r.request_id);
  w.text(",\"client_ip\":", r.client_ip);
  w.text(",\"peer_ip\":", r.peer_ip);
  w.text(",\"user_hash\":", r.user_hash);
  w.text(",\"method\":", r.method);
  w.text(",\"path\":", r.path);
  w.text(",\"query\":", r.query);
  w.text(",\"host\":", r.host);
  w.text(",\"proto\":", r.proto);
  w.text(",\"listener\":", r.listener);
  w.text(",\"route\":", r.route);
  w.text(",\"upstream\":", r.upstream);
  w.text(",\"upstream_addr\":", r.upstream_addr);
  w.number(",\"status\":", r.status);
  w.text(",\"decision\":", to_string(r.decision));
  w.text(",\"rule\":", r.rule);
  w.text(",\"reason\":", r.reason);
  w.optional_number(",\"limit\":", r.limit);
  w.optional_number(",\"remaining\":", r.remaining);
  w.optional_milliseconds(",\"retry_after_ms\":", r.retry_after_us);
  w.optional_milliseconds(",\"duration_ms\":", r.duration_us);
  w.optional_milliseconds(",\"upstream_ms\":", r.upstream_us);
  w.optional_milliseconds(",\"limiter_ms\":", r.limiter_us);
  w.number(",\"attempts\":", r.attempts);
  w.number(",\"bytes_in\":", r.bytes_in);
  w.number(",\"bytes_out\":", r.bytes_out);
  if (w.truncated()) out += ",\"truncated\":true";
  out += "}\n";
}

}  // namespace weir::proxy
