// SPDX-License-Identifier: Apache-2.0
// An allowed request at its upstream.
#include "proxy/downstream/session.hpp"
#include "proxy/http/rate_limit_merge.hpp"
#include "proxy/http/rewrite.hpp"

namespace weir::proxy {

bool session::client_left() noexcept {
  if (channel_.socket.broken()) return true;
  if (config().http.tolerate_half_close || !request_->body.complete()) return false;
  if (forward_ && stage_ == stage::forwarding && forward_->response_started()) return false;
  return channel_.socket.peer_finished() || channel_.socket.said_goodbye();
}

bool session::drive_forward() {
  if (client_left()) {
    abandon(499, "client_gone");
    return false;
  }
  switch (forward_->resume()) {
    case forward::progress::pending:
      return false;
    case forward::progress::yield:
      worker_.turns.next.add(*this);
      return false;
    case forward::progress::switched:
      return start_tunnel();
    case forward::progress::complete:
      return finish_request();
    case forward::progress::failed: {
      const bool body_left = !request_->body.complete();
      const bool body_broken = forward_->error() == http::local_error::bad_request ||
                               forward_->error() == http::local_error::body_too_large ||
                               forward_->error() == http::local_error::request_timeout;
      return answer(forward_->error(), request_->reason, body_left && body_broken);
    }
    case forward::progress::aborted:
      // An HTTP/1.0 client would take the end of the connection for the end of the body.
      reset_after_ = request_->head.version_minor == 0;
      settle(false);
      record();
      close();
      return false;
    case forward::progress::client_gone:
      if (request_->body.complete() || request_->to_client.total() > 0) {
        abandon(499, "client_gone");
        return false;
      }
      return answer(http::local_error::bad_request, "request_body_truncated", true);
  }
  return false;
}

void session::write_request_head(const endpoint_settings& target) {
  http::request_context context;
  context.path = request_->target.path;
  context.query = request_->target.query;
  context.has_query = request_->target.has_query;
  const std::string_view host = request_->head.host(buffer());
  const bool preserve = config().upstreams[config().routes[*request_->route].upstream].preserve_host;
  context.host = preserve && !host.empty() ? host : std::string_view(target.authority);
  context.peer_address = peer_text_;
  context.peer_trusted = request_->peer_trusted;
  context.scheme = channel_.socket.is_tls() ? "https" : "http";
  context.x_forwarded = config().forwarded != forwarded_mode::rfc7239;
  context.forwarded = config().forwarded != forwarded_mode::x;
  context.listener_port = listener_->port;
  context.request_id = request_->request_id;
  context.via = config().via;
  context.upgrade = request_->upgrade;
  context.protected_headers = request_->config->identity_headers.all();
  http::append_request_head(request_->to_upstream.text, request_->head, buffer(), context);
}

http::framing session::write_response_head() {
  const http::response_head& response = request_->response;
  const int minor = request_->head.version_minor;
  http::framing towards_client = response.framing;
  if (response.framing == http::framing::chunked || response.framing == http::framing::until_close) {
    towards_client = minor > 0 ? http::framing::chunked : http::framing::until_close;
  }
  close_after_ =
      close_after_ || leaving() || long_body_left() || towards_client == http::framing::until_close;
  request_->status = response.status;
  http::response_context context;
  context.client_version_minor = minor;
  const bool switches = response.status == 101;
  context.close = close_after_ && !switches;
  if (switches) context.upgrade = request_->upgrade;
  context.framing = towards_client;
  context.request_id = request_->request_id;
  context.via = config().via;
  context.date = worker_.date;
  if (http::tells_limits(response)) {
    context.replaced =
        http::merge_rate_limit_fields(request_->rate_fields, response, forward_->response_buffer());
  }
  context.extra_fields = request_->rate_fields;
  if (request_->permit && request_->permit->owes()) {
    request_->meter.begin(request_->charges, response, forward_->response_buffer());
  }
  http::append_response_head(request_->to_client.text, response, forward_->response_buffer(), context);
  return towards_client;
}

}  // namespace weir::proxy
