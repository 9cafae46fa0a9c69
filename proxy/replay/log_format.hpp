// SPDX-License-Identifier: Apache-2.0
// The formats of access logs that can be replayed, and which of them a log has.
#pragma once

#include "proxy/replay/json_line.hpp"
#include "proxy/replay/text_format.hpp"

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weir::replay {

/// What the lines of a format tell of a request, beyond time, client, method, path and status.
struct log_contents {
  bool query = true;
  bool host = false;
  bool status = false;
  bool duration = false;
  bool bytes_in = false;
  bool bytes_out = false;
  bool route = false;
  bool user = false;       ///< the user or its keyed hash, as weir writes it
  bool decision = false;   ///< what the log's proxy decided
  bool listed = false;     ///< reasons of `block` and `exempt`
  bool by_policy = false;  ///< written by weir: the headers are those of `access_log.headers`
  bool every_header = false;
  std::vector<std::string> headers{};  ///< lower case
};

enum class line_kind : std::uint8_t {
  request,
  no_request,  ///< empty, a comment, a notice of the log itself, or a request that was refused unread
  bad,
};

class log_format {
 public:
  /// weir, combined (nginx, Apache), clf, envoy, caddy or ecs; nothing for other names.
  [[nodiscard]] static std::optional<log_format> named(std::string_view name);
  /// A format string, see text_format. `problem` is set when nothing is returned.
  [[nodiscard]] static std::optional<log_format> of_string(std::string_view text, std::string& problem);
  /// The one that reads most of the first lines, at most 64 of them; nothing when none reads any.
  /// `text` ends with a whole line or with the log.
  [[nodiscard]] static std::optional<log_format> detect(std::string_view text);
  [[nodiscard]] static std::span<const std::string_view> names() noexcept;

  /// Notes what the first lines of a JSON log hold beyond its format: which headers, and whether weir wrote
  /// them. A header that none of them has counts as not logged.
  void learn(std::string_view text);

  [[nodiscard]] std::string_view name() const noexcept { return name_; }
  [[nodiscard]] const log_contents& contents() const noexcept { return contents_; }

  /// Reads one line without its end. The line is changed, and `out` points into it. `problem` is set for a
  /// bad line.
  [[nodiscard]] line_kind read(std::span<char> line, logged_request& out, line_problem& problem) const;

 private:
  template <class Take>
  void for_each_request(std::string_view text, std::size_t lines_max, Take take) const;
  void learn_from(const logged_request& request);

  std::string name_;
  log_contents contents_;
  std::shared_ptr<const json_fields> json_;  // null: text
  std::optional<text_format> text_;
};

}  // namespace weir::replay
