// SPDX-License-Identifier: Apache-2.0
// Names of fields that the proxy knows.
#include "proxy/http/grammar.hpp"
#include "proxy/http/head.hpp"

#include <array>

namespace weir::http {
namespace {

struct known_name {
  std::string_view text;  ///< lower case
  header_id id = header_id::other;
};

constexpr std::array known_names{
    known_name{"host", header_id::host},
    known_name{"content-length", header_id::content_length},
    known_name{"transfer-encoding", header_id::transfer_encoding},
    known_name{"connection", header_id::connection},
    known_name{"expect", header_id::expect},
    known_name{"upgrade", header_id::upgrade},
    known_name{"te", header_id::te},
    known_name{"trailer", header_id::trailer},
    known_name{"keep-alive", header_id::keep_alive},
    known_name{"proxy-connection", header_id::proxy_connection},
    known_name{"proxy-authenticate", header_id::proxy_authenticate},
    known_name{"proxy-authorization", header_id::proxy_authorization},
    known_name{"proxy", header_id::proxy},
    known_name{"http2-settings", header_id::http2_settings},
    known_name{"x-forwarded-for", header_id::x_forwarded_for},
    known_name{"x-forwarded-proto", header_id::x_forwarded_proto},
    known_name{"x-forwarded-host", header_id::x_forwarded_host},
    known_name{"x-forwarded-port", header_id::x_forwarded_port},
    known_name{"forwarded", header_id::forwarded},
    known_name{"x-real-ip", header_id::x_real_ip},
    known_name{"x-original-url", header_id::x_original_url},
    known_name{"x-rewrite-url", header_id::x_rewrite_url},
    known_name{"x-request-id", header_id::x_request_id},
    known_name{"via", header_id::via},
    known_name{"content-type", header_id::content_type},
    known_name{"authorization", header_id::authorization},
    known_name{"cookie", header_id::cookie},
    known_name{"max-forwards", header_id::max_forwards},
    known_name{"date", header_id::date},
    known_name{"retry-after", header_id::retry_after},
    known_name{"ratelimit", header_id::ratelimit},
    known_name{"ratelimit-policy", header_id::ratelimit_policy},
    known_name{"ratelimit-limit", header_id::ratelimit_limit},
    known_name{"ratelimit-remaining", header_id::ratelimit_remaining},
    known_name{"ratelimit-reset", header_id::ratelimit_reset},
    known_name{"x-ratelimit-limit", header_id::x_ratelimit_limit},
    known_name{"x-ratelimit-remaining", header_id::x_ratelimit_remaining},
    known_name{"x-ratelimit-reset", header_id::x_ratelimit_reset},
    known_name{"traceparent", header_id::traceparent},
    known_name{"server", header_id::server},
    known_name{"set-cookie", header_id::set_cookie},
};

// Length, first, middle and last but one letter tell all known names apart: one probe, one comparison.
constexpr std::size_t buckets = 128;
constexpr std::size_t bucket_of(std::string_view name) {
  const auto letter = [name](std::size_t i) {
    return static_cast<unsigned>(static_cast<unsigned char>(name[i])) | 0x20U;
  };
  const std::size_t n = name.size();
  return (2 * n + letter(0) + letter(n / 2) * 36 + letter(n - 2)) % buckets;
}

constexpr std::array<std::uint8_t, buckets> make_index() {
  std::array<std::uint8_t, buckets> index{};  // 0 = empty, else position + 1
  for (std::size_t i = 0; i < known_names.size(); ++i) {
    auto& slot = index[bucket_of(known_names[i].text)];
    if (slot != 0) throw "two names share a bucket: choose other factors";  // fails the build, never runs
    slot = static_cast<std::uint8_t>(i + 1);
  }
  return index;
}
constexpr std::array<std::uint8_t, buckets> name_index = make_index();

constexpr std::string_view forwarded_prefix = "x-forwarded-";

}  // namespace

header_id identify_header(std::string_view name) noexcept {
  if (name.size() < 2) return header_id::other;
  const std::size_t slot = name_index[bucket_of(name)];
  if (slot != 0 && grammar::equals_lower(name, known_names[slot - 1].text)) return known_names[slot - 1].id;
  if (name.size() > forwarded_prefix.size() &&
      grammar::equals_lower(name.data(), forwarded_prefix.data(), forwarded_prefix.size())) {
    return header_id::x_forwarded_other;
  }
  return header_id::other;
}

}  // namespace weir::http
