// SPDX-License-Identifier: Apache-2.0
// Active health checks: one GET per endpoint and interval for the whole process, on connections of its own.
// Nothing of it is rate limited, counted as a request, or in the access log.
#pragma once

#include "proxy/runtime/compiled_config.hpp"
#include "proxy/runtime/random.hpp"

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace weir::proxy::tls {
struct context_set;
}

namespace weir::proxy {

/// Lives on the thread of its io_context.
class health_checker {
 public:
  /// Called when the verdict on an endpoint changed. Endpoints are healthy until their checks have failed.
  using verdict_function =
      std::function<void(const std::string& upstream, std::size_t endpoint, bool healthy)>;

  health_checker(boost::asio::io_context& io, verdict_function on_verdict);
  ~health_checker();
  health_checker(const health_checker&) = delete;
  health_checker& operator=(const health_checker&) = delete;

  /// Checks the endpoints of `config`, those with TLS through `contexts`; replaces what was checked before.
  /// An upstream whose settings are equal keeps its verdicts.
  void watch(const settings& config, const resolved_endpoints& addresses, const tls::context_set& contexts);
  /// New addresses of a name.
  void set_addresses(const std::string& upstream, std::size_t endpoint,
                     const std::vector<resolved_address>& addresses);
  void stop();

 private:
  class target;
  [[nodiscard]] target* find(const std::string& upstream, std::size_t endpoint) const;

  boost::asio::io_context& io_;
  verdict_function on_verdict_;
  random_source random_;
  std::vector<std::shared_ptr<target>> targets_;
};

}  // namespace weir::proxy
