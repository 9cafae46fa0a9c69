// SPDX-License-Identifier: Apache-2.0
#include "proxy/settle/body_cost_reader.hpp"

#include "proxy/http/grammar.hpp"

#include <algorithm>

namespace weir::proxy::settle {

namespace {

constexpr std::string_view data_field = "data:";

}  // namespace

body_cost_reader::body_cost_reader(std::string_view json_pointer, std::string_view content_type,
                                   std::string_view content_encoding)
    : tokens_(parse_json_pointer(json_pointer)), json_(tokens_) {
  event_stream_ = http::grammar::equals_ignoring_case(
      http::grammar::trim_ows(content_type.substr(0, content_type.find(';'))), "text/event-stream");
  const std::string_view coding = http::grammar::trim_ows(content_encoding);
  if (http::grammar::equals_ignoring_case(coding, "gzip") ||
      http::grammar::equals_ignoring_case(coding, "x-gzip")) {
    coding_ = std::make_unique<gunzip>();
  } else {
    unreadable_ = !coding.empty() && !http::grammar::equals_ignoring_case(coding, "identity");
  }
}

void body_cost_reader::feed(std::string_view bytes) {
  if (unreadable_ || stopped_) return;
  if (!coding_) {
    (void)decoded(bytes);
  } else if (!coding_->feed(bytes, [this](std::string_view piece) { return decoded(piece); })) {
    // What a limit stopped has been read up to it; a malformed coding says nothing.
    stopped_ = true;
    unreadable_ = inspected_ < max_inspected && total_ < max_decoded;
  }
}

bool body_cost_reader::decoded(std::string_view bytes) {
  total_ += bytes.size();
  if (event_stream_) {
    if (total_ >= max_decoded && coding_) return false;
    events(bytes);
    return true;
  }
  inspect(bytes);
  return inspected_ < max_inspected;
}

void body_cost_reader::inspect(std::string_view bytes) {
  const std::string_view part = bytes.substr(0, max_inspected - inspected_);
  inspected_ += part.size();
  json_.feed(part);
}

std::optional<std::int64_t> body_cost_reader::finish(bool complete) {
  if (unreadable_) return std::nullopt;
  if (event_stream_) {
    if (complete) {
      if (line_ == line::data) has_data_ = true;
      event_ended();  // the last event may lack its empty line
    }
    return last_;
  }
  if (inspected_ == max_inspected) return json_.found();
  if (complete && coding_ && !coding_->complete()) return std::nullopt;  // it is not what it claims
  const auto so_far = json_.found();
  if (!complete) return so_far;
  return json_.finish() ? json_.found() : std::nullopt;
}

// ---- event streams

void body_cost_reader::events(std::string_view bytes) {
  while (!bytes.empty()) {
    if (skip_line_feed_) {
      skip_line_feed_ = false;
      if (bytes.front() == '\n') {
        bytes.remove_prefix(1);
        continue;
      }
    }
    const std::size_t end = std::min(bytes.find_first_of("\r\n"), bytes.size());
    std::string_view text = bytes.substr(0, end);
    if (line_ == line::field) {
      const std::size_t taken = std::min(text.size(), data_field.size() - field_.size());
      field_.append(text.substr(0, taken));
      text.remove_prefix(taken);
      if (!data_field.starts_with(field_)) {
        line_ = line::ignored;
      } else if (field_.size() == data_field.size()) {
        line_ = line::space;
        if (has_data_) inspect("\n");  // several data lines are one text
        has_data_ = true;
      }
    }
    if (line_ == line::space && !text.empty()) {
      if (text.front() == ' ') text.remove_prefix(1);
      line_ = line::data;
    }
    if (line_ == line::data && !text.empty()) inspect(text);
    if (end == bytes.size()) return;
    skip_line_feed_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
    end_of_line();
  }
}

void body_cost_reader::end_of_line() {
  if (line_ == line::field && field_.empty()) event_ended();
  field_.clear();
  line_ = line::field;
}

void body_cost_reader::event_ended() {
  if (has_data_ && inspected_ < max_inspected && json_.finish() && json_.found()) last_ = json_.found();
  json_.reset();
  inspected_ = 0;
  has_data_ = false;
}

}  // namespace weir::proxy::settle
