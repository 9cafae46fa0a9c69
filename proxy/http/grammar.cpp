// SPDX-License-Identifier: Apache-2.0
#include "proxy/http/grammar.hpp"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace weir::http::grammar {
namespace {

const char* skip_class(const char* at, const char* end, byte_class k) noexcept {
  while (at != end && is(*at, k)) ++at;
  return at;
}

}  // namespace

// Values and targets are most of a head: sixteen bytes a step where the processor has SSE2, the table
// elsewhere.
#ifdef __SSE2__

const char* skip_text(const char* at, const char* end) noexcept {
  const __m128i last_control = _mm_set1_epi8(0x1F);
  for (; end - at >= 16; at += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, last_control), bytes);
    const __m128i tab = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\t'));
    const __m128i del = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7F));
    const int bad = _mm_movemask_epi8(_mm_or_si128(_mm_andnot_si128(tab, control), del));
    if (bad != 0) return at + __builtin_ctz(static_cast<unsigned>(bad));
  }
  return skip_class(at, end, text);
}

const char* skip_target(const char* at, const char* end) noexcept {
  for (; end - at >= 16; at += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const __m128i visible = _mm_cmpgt_epi8(bytes, _mm_set1_epi8(0x20));  // signed: bytes above 0x7F are not
    const __m128i del = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7F));
    const __m128i hash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('#'));
    const int good = _mm_movemask_epi8(_mm_andnot_si128(_mm_or_si128(del, hash), visible));
    if (good != 0xFFFF) return at + __builtin_ctz(~static_cast<unsigned>(good));
  }
  return skip_class(at, end, target);
}

#else

const char* skip_text(const char* at, const char* end) noexcept {
  return skip_class(at, end, text);
}
const char* skip_target(const char* at, const char* end) noexcept {
  return skip_class(at, end, target);
}

#endif

}  // namespace weir::http::grammar
