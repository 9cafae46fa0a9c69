// SPDX-License-Identifier: Apache-2.0
// [I/O] What a TLS connection to the store trusts and shows.
#pragma once

#include "limiter/redis/settings.hpp"

#include <boost/asio/ssl/context.hpp>
#include <memory>
#include <string>

namespace weir::limiter::redis {

/// The settings of a store as its connections use them. Immutable: a reload makes another one.
struct session_plan {
  redis_settings settings;
  std::shared_ptr<boost::asio::ssl::context> tls;  ///< null: no TLS, or unusable
  std::string tls_problem;                         ///< why it is unusable
};
[[nodiscard]] std::shared_ptr<const session_plan> make_session_plan(redis_settings settings);

}  // namespace weir::limiter::redis
