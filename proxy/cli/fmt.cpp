// SPDX-License-Identifier: Apache-2.0
// `weir fmt`: policy files in the canonical layout.
#include "config/format/format.hpp"
#include "proxy/cli/cli.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace weir::cli {
namespace {

bool write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const auto written = ::write(descriptor, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

/// A new file beside the old one takes its mode, owner and place, so that a reader sees the old or the new
/// text. Returns why it failed; the old file is then as it was.
std::string replace_file(const std::string& path, std::string_view text) {
  std::error_code failed;
  const auto target = std::filesystem::canonical(path, failed).string();  // a link stays a link
  if (failed) return failed.message();
  struct ::stat old {};
  if (::stat(target.c_str(), &old) != 0) return std::system_category().message(errno);
  auto name = target + ".XXXXXX";
  const int descriptor = ::mkostemp(name.data(), O_CLOEXEC);
  if (descriptor < 0) return std::system_category().message(errno);
  const bool owned = ::fchown(descriptor, old.st_uid, old.st_gid) == 0 ||
                     (old.st_uid == ::geteuid() && old.st_gid == ::getegid());
  const bool done = owned && ::fchmod(descriptor, old.st_mode & 07777U) == 0 && write_all(descriptor, text) &&
                    ::fsync(descriptor) == 0 && ::rename(name.c_str(), target.c_str()) == 0;
  const int why = errno;
  ::close(descriptor);
  if (done) return {};
  ::unlink(name.c_str());
  return std::system_category().message(why);
}

int complain(const std::string& message) {
  std::fputs(fmt::format("error: {}\n", message).c_str(), stderr);
  return exit_failure;
}

int deliver(const std::string& file, const config::load_result& loaded, const std::string& text,
            fmt_mode mode) {
  const bool changed = text != loaded.source_text;
  if (mode == fmt_mode::check) {
    if (changed) std::fputs((file + "\n").c_str(), stdout);
    return changed ? exit_failure : exit_ok;
  }
  if (mode == fmt_mode::print) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    return std::fflush(stdout) == 0 ? exit_ok : exit_failure;
  }
  if (!changed) return exit_ok;
  const auto why = replace_file(file, text);
  if (!why.empty()) return complain(fmt::format("cannot write `{}`: {}", file, why));
  std::fputs((file + "\n").c_str(), stdout);
  return exit_ok;
}

int format_file(const std::string& file, fmt_mode mode) {
  const auto loaded = config::load_file(file, config::process_environment());
  const auto formatted = config::format_policy(loaded);
  for (const auto& p : formatted.problems)
    std::fputs(config::render(p, loaded.source_text, false).c_str(), stderr);
  if (!formatted.problems.empty()) return exit_bad_config;
  if (!formatted.lossless)
    return complain(fmt::format("`{}` has a form that cannot be laid out without loss: left as it is", file));
  return deliver(file, loaded, *formatted.text, mode);
}

int usage(const std::string& message) {
  std::fputs(fmt::format("error: {}\n  = help: weir fmt --help\n", message).c_str(), stderr);
  return exit_usage;
}

}  // namespace

int fmt_command(const fmt_options& options) {
  const auto& files = options.files;
  if (options.check && options.write) return usage("--check and --write exclude each other");
  const auto is_json = [](const std::string& file) { return file.ends_with(".json"); };
  if (std::any_of(files.begin(), files.end(), is_json))
    return usage("JSON has no comments and no layout of ours");
  const bool standard_input = std::find(files.begin(), files.end(), "-") != files.end();
  if (options.write && standard_input) return usage("standard input cannot be written to");
  const auto mode = options.check ? fmt_mode::check : options.write ? fmt_mode::write : fmt_mode::print;
  if (mode == fmt_mode::print && files.size() > 1)
    return usage("several files are formatted with --write or --check");
  int worst = exit_ok;
  for (const auto& file : files) worst = std::max(worst, format_file(file, mode));
  return worst;
}

}  // namespace weir::cli
