// SPDX-License-Identifier: Apache-2.0
#include "proxy/http/path.hpp"

#include "proxy/http/grammar.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace weir::http {
namespace {

/// Well-formed UTF-8 (Unicode table 3-7: no overlong forms, surrogates, or code points beyond U+10FFFF), byte
/// by byte.
class utf8_checker {
 public:
  [[nodiscard]] bool add(unsigned char b) noexcept {
    if (missing_ == 0) return begin(b);
    if (b < low_ || b > high_) return false;
    low_ = 0x80;
    high_ = 0xBF;
    --missing_;
    return true;
  }
  [[nodiscard]] bool whole() const noexcept { return missing_ == 0; }

 private:
  bool begin(unsigned char b) noexcept {
    if (b < 0x80) return true;
    if (b < 0xC2 || b > 0xF4) return false;
    missing_ = b < 0xE0 ? 1 : b < 0xF0 ? 2 : 3;
    low_ = b == 0xE0 ? 0xA0 : b == 0xF0 ? 0x90 : 0x80;
    high_ = b == 0xED ? 0x9F : b == 0xF4 ? 0x8F : 0xBF;
    return true;
  }

  int missing_ = 0;
  unsigned char low_ = 0x80;
  unsigned char high_ = 0xBF;
};

enum class path_class : std::uint8_t { plain, slash, dot, query, other };

constexpr std::array<path_class, 256> make_path_classes() {
  std::array<path_class, 256> table{};
  for (std::size_t c = 0; c < 256; ++c) {
    table[c] = grammar::is(static_cast<char>(c), grammar::path_plain) ? path_class::plain : path_class::other;
  }
  table['/'] = path_class::slash;
  table['.'] = path_class::dot;
  table['?'] = path_class::query;
  return table;
}
constexpr std::array<path_class, 256> path_classes = make_path_classes();

/// Length of the path at the front of `target` when it is canonical as it stands, else 0. Only canonical for
/// sure: whatever needs a second look (an escape, a parameter, a dot or slash before a slash) is left to
/// `rewrite`.
std::size_t canonical_size(std::string_view target) noexcept {
  const auto class_at = [target](std::size_t i) {
    return path_classes[static_cast<unsigned char>(target[i])];
  };
  std::size_t i = 0;
  for (; i < target.size(); ++i) {
    const path_class k = class_at(i);
    if (k == path_class::plain) continue;
    if (k == path_class::query) break;
    if (k == path_class::other) return 0;
    if (k == path_class::slash && i > 0 && class_at(i - 1) != path_class::plain) return 0;
  }
  return i > 0 && target[i - 1] == '.' ? 0 : i;
}

constexpr bool is_forbidden_decoded(unsigned char b) noexcept {
  return b < 0x20 || b == 0x7F || b == '\\' || b == '#' || b == '?' || b == ';';
}

void append_escaped(std::string& out, unsigned char b) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  const char text[3] = {'%', digits[b >> 4], digits[b & 15]};
  out.append(text, sizeof text);
}

/// The byte that the escape at the front of `text` stands for; -1: malformed or not allowed in a path.
int decode_escape(std::string_view text) noexcept {
  if (text.size() < 3) return -1;
  const int high = grammar::hex_value(text[1]);
  const int low = grammar::hex_value(text[2]);
  if (high < 0 || low < 0) return -1;
  const int decoded = high * 16 + low;
  return is_forbidden_decoded(static_cast<unsigned char>(decoded)) ? -1 : decoded;
}

/// Appends the segment at the front of `path` in canonical spelling without its parameters, and takes it off
/// with the slash behind it. Parameters are judged like the rest before they are left out. False: refused.
bool append_segment(std::string_view& path, std::string& out, normalised_target& found) {
  utf8_checker utf8;
  bool in_parameters = false;
  std::size_t i = 0;
  for (; i < path.size() && path[i] != '/'; ++i) {
    auto byte = static_cast<unsigned char>(path[i]);
    bool escape = byte == '[' || byte == ']' || byte == '|';
    if (byte == '%') {
      const int decoded = decode_escape(path.substr(i));
      if (decoded < 0) return false;
      byte = static_cast<unsigned char>(decoded);
      escape = !grammar::is(static_cast<char>(byte), grammar::unreserved);
      found.encoded_slash = found.encoded_slash || byte == '/';
      i += 2;
    } else if (byte == ';') {
      in_parameters = found.parameters = true;
    } else if (!escape && !grammar::is(path[i], grammar::path_plain)) {
      return false;
    }
    if (!utf8.add(byte)) return false;
    if (in_parameters) continue;
    if (escape) {
      append_escaped(out, byte);
    } else {
      out += static_cast<char>(byte);
    }
  }
  path.remove_prefix(std::min(i + 1, path.size()));
  return utf8.whole();
}

/// Upstreams that trim would read such a segment as another one.
bool is_trimmed_somewhere(std::string_view segment) noexcept {
  return segment.starts_with("%20") || segment.ends_with("%20") || segment.ends_with('.');
}

/// An upstream that decodes `%2F` would walk up here: `..%2Fx`, `a%2F.%2Fb`.
bool hides_dot_segment(std::string_view segment) noexcept {
  for (std::size_t end = 0; end != std::string_view::npos;) {
    end = segment.find("%2F");
    const std::string_view piece = segment.substr(0, end);
    if (piece == "." || piece == "..") return true;
    if (end != std::string_view::npos) segment.remove_prefix(end + 3);
  }
  return false;
}

/// Writes the canonical form of `path` to `out`. Between segments `out` ends in the slash of the next one.
bool rewrite(std::string_view path, std::string& out, normalised_target& found) {
  out.assign(1, '/');
  path.remove_prefix(1);
  for (bool last = false; !last;) {
    const std::size_t start = out.size();
    last = path.find('/') == std::string_view::npos;
    if (!append_segment(path, out, found)) return false;
    const std::string_view segment = std::string_view(out).substr(start);
    if (segment.empty()) continue;
    if (segment == ".") {
      out.resize(start);
    } else if (segment == "..") {
      out.resize(start == 1 ? 1 : out.rfind('/', start - 2) + 1);
    } else {
      if (is_trimmed_somewhere(segment) || hides_dot_segment(segment)) return false;
      if (!last) out += '/';
    }
  }
  return true;
}

}  // namespace

bool normalise_target(std::string_view target, std::string& storage, normalised_target& out) {
  if (target == "*") {
    out = {target, {}, false, false, false};
    return true;
  }
  out.encoded_slash = out.parameters = false;
  if (target.empty() || (target.front() != '/' && target.front() != '?')) return false;
  std::size_t path_size = canonical_size(target);
  if (path_size > 0) {
    out.path = target.substr(0, path_size);
  } else {
    path_size = std::min(target.find('?'), target.size());
    // an absolute-form target may bring a query without a path
    const std::string_view path = path_size == 0 ? std::string_view("/") : target.substr(0, path_size);
    if (!rewrite(path, storage, out)) return false;
    out.path = storage;
  }
  out.has_query = path_size < target.size();
  out.query = out.has_query ? target.substr(path_size + 1) : std::string_view{};
  return true;
}

}  // namespace weir::http
