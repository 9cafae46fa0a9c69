// SPDX-License-Identifier: Apache-2.0
#include "limiter/redis/acl.hpp"

namespace weir::limiter::redis {

std::string acl_rules(std::string_view key_prefix) {
  std::string rules = "~";
  rules += key_prefix;
  rules +=
      "* -@all +evalsha +eval +script|load +time +get +set +del +llen +lindex +ltrim +rpush +rpop +pexpireat "
      "+zadd +zrem +zscore +zcard +zcount +zrange +zrangebyscore +zremrangebyscore +ping +info +select +role "
      "+asking +cluster|slots";
  return rules;
}

}  // namespace weir::limiter::redis
