// SPDX-License-Identifier: Apache-2.0
// Any bytes in any field: the record stays one line of JSON that holds what was put in.
#include "proxy/observe/access_record.hpp"
#include "proxy/observe/json_writer.hpp"

#include <boost/json.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void check_string(std::string_view text) {
  std::string out;
  weir::proxy::append_json_string(out, text);
  for (const char c : out) require(c >= ' ' || c < 0);
  boost::system::error_code failed;
  const boost::json::value parsed = boost::json::parse(out, failed);
  require(!failed && parsed.is_string() && parsed.get_string().size() >= text.size());
}

void check_record(std::string_view text) {
  weir::proxy::access_record record;
  record.path = text.substr(0, text.size() / 2);
  record.query = text.substr(text.size() / 2);
  record.host = text;
  const std::string_view line = weir::proxy::json_line(record);
  require(line.find('\n') == line.size() - 1);
  boost::system::error_code failed;
  const boost::json::value parsed = boost::json::parse(line, failed);
  require(!failed && parsed.is_object());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_string(text);
  check_record(text);
  return 0;
}
