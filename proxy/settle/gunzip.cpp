// SPDX-License-Identifier: Apache-2.0
#include "proxy/settle/gunzip.hpp"

#include <array>
#include <limits>
#include <zlib.h>

namespace weir::proxy::settle {

namespace {
constexpr int gzip_only = 16 + MAX_WBITS;
}

gunzip::gunzip() : stream_(std::make_unique<z_stream_s>()) {
  *stream_ = {};
  usable_ = inflateInit2(stream_.get(), gzip_only) == Z_OK;
}

gunzip::~gunzip() {
  inflateEnd(stream_.get());
}

bool gunzip::feed(std::string_view bytes, const sink& take) {
  if (!usable_ || bytes.size() > std::numeric_limits<uInt>::max()) return false;
  std::array<char, 16 * 1024> piece;
  stream_->next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream_->avail_in = static_cast<uInt>(bytes.size());
  for (;;) {
    if (between_members_) {
      if (stream_->avail_in == 0) return true;
      if (inflateReset(stream_.get()) != Z_OK) return usable_ = false;
      between_members_ = false;
    }
    stream_->next_out = reinterpret_cast<Bytef*>(piece.data());
    stream_->avail_out = static_cast<uInt>(piece.size());
    const int result = inflate(stream_.get(), Z_NO_FLUSH);
    const std::size_t got = piece.size() - stream_->avail_out;
    if (got > 0 && !take({piece.data(), got})) return usable_ = false;
    if (result == Z_STREAM_END) {
      between_members_ = true;
    } else if (result == Z_BUF_ERROR || (result == Z_OK && stream_->avail_in == 0 && got < piece.size())) {
      return true;  // needs more input
    } else if (result != Z_OK) {
      return usable_ = false;
    }
  }
}

}  // namespace weir::proxy::settle
