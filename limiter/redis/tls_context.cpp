// SPDX-License-Identifier: Apache-2.0
#include "limiter/redis/tls_context.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/system/system_error.hpp>
#include <utility>

namespace weir::limiter::redis {

namespace ssl = boost::asio::ssl;

namespace {

std::shared_ptr<ssl::context> make_context(const redis_tls& tls) {
  auto context = std::make_shared<ssl::context>(ssl::context::tls_client);
  auto options = ssl::context::default_workarounds | ssl::context::no_sslv2 | ssl::context::no_sslv3 |
                 ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1;
  if (tls.only_tls13) options |= ssl::context::no_tlsv1_2;
  context->set_options(options);
  context->set_verify_mode(tls.verify ? ssl::verify_peer : ssl::verify_none);
  if (tls.ca.empty()) {
    context->set_default_verify_paths();
  } else {
    context->add_certificate_authority(boost::asio::buffer(tls.ca));
  }
  if (!tls.certificate.empty()) {
    context->use_certificate_chain(boost::asio::buffer(tls.certificate));
    context->use_private_key(boost::asio::buffer(tls.key), ssl::context::pem);
  }
  return context;
}

}  // namespace

std::shared_ptr<const session_plan> make_session_plan(redis_settings settings) {
  auto plan = std::make_shared<session_plan>();
  plan->settings = std::move(settings);
  if (!plan->settings.tls.enabled) return plan;
  try {
    plan->tls = make_context(plan->settings.tls);
  } catch (const boost::system::system_error& error) {
    plan->tls_problem = "the TLS files are unusable: " + error.code().message();
  }
  return plan;
}

}  // namespace weir::limiter::redis
