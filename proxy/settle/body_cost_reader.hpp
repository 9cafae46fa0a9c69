// SPDX-License-Identifier: Apache-2.0
// Reads a cost out of a response body as it passes: JSON or an event stream, plain or gzip. It only looks: it
// never keeps, delays or changes the bytes. Pure.
#pragma once

#include "proxy/settle/gunzip.hpp"
#include "proxy/settle/json_pointer_reader.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::proxy::settle {

class body_cost_reader {
 public:
  static constexpr std::size_t max_inspected =
      1024 * 1024;  ///< decoded bytes of a JSON body, or of one event
  static constexpr std::uint64_t max_decoded =
      256ull * 1024 * 1024;  ///< gzip: decoded bytes of an event stream

  /// The two header values as received; empty = absent. Another coding than gzip cannot be read.
  body_cost_reader(std::string_view json_pointer, std::string_view content_type,
                   std::string_view content_encoding);

  void feed(std::string_view bytes);

  /// `complete`: the body reached its end. The value of a JSON body counts when the whole text was valid, or
  /// up to max_inspected of a longer one; of an event stream, that of the last event that has it.
  [[nodiscard]] std::optional<std::int64_t> finish(bool complete);

 private:
  bool decoded(std::string_view bytes);  // false: nothing more is wanted
  void events(std::string_view bytes);
  void end_of_line();
  void event_ended();
  void inspect(std::string_view bytes);

  enum class line : std::uint8_t { field, space, data, ignored };

  std::vector<std::string> tokens_;
  json_pointer_reader json_;
  std::unique_ptr<gunzip> coding_;
  std::optional<std::int64_t> last_;  // of the events so far
  std::string field_;                 // start of a line, until it is known whether it is data
  std::size_t inspected_ = 0;
  std::uint64_t total_ = 0;
  line line_ = line::field;
  bool event_stream_ = false;
  bool unreadable_ = false;
  bool stopped_ = false;  // at a limit
  bool skip_line_feed_ = false;
  bool has_data_ = false;  // the event has a data line
};

}  // namespace weir::proxy::settle
