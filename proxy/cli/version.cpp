// SPDX-License-Identifier: Apache-2.0
#include "proxy/cli/cli.hpp"
#include "proxy/observe/json_writer.hpp"

#include <boost/version.hpp>
#include <cstdio>
#include <fmt/format.h>
#include <openssl/crypto.h>

namespace weir::cli {

int version_command(bool json) {
  const auto boost =
      fmt::format("{}.{}.{}", BOOST_VERSION / 100000, BOOST_VERSION / 100 % 1000, BOOST_VERSION % 100);
  const std::string openssl = OpenSSL_version(OPENSSL_VERSION_STRING);
  std::string text;
  if (json) {
    const auto field = [&text](std::string_view name, std::string_view value) {
      text += text.empty() ? '{' : ',';
      proxy::append_json_string(text, name);
      text += ':';
      proxy::append_json_string(text, value);
    };
    field("version", WEIR_VERSION);
    if (*WEIR_REVISION != '\0') field("revision", WEIR_REVISION);
    field("compiler", WEIR_COMPILER);
    field("boost", boost);
    field("openssl", openssl);
    text += "}\n";
  } else {
    text = fmt::format("weir {} ({}, Boost {}, OpenSSL {})\n", WEIR_VERSION, WEIR_COMPILER, boost, openssl);
  }
  std::fputs(text.c_str(), stdout);
  return std::fflush(stdout) == 0 ? exit_ok : exit_failure;
}

}  // namespace weir::cli
