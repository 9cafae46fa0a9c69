// SPDX-License-Identifier: Apache-2.0
#include "limiter/redis/reply_reader.hpp"

#include "limiter/redis/reply_guard.hpp"

#include <hiredis/hiredis.h>
#include <hiredis/read.h>
#include <new>

namespace weir::limiter::redis {

namespace {

#if HIREDIS_MAJOR >= 1
using element_count = std::size_t;
#else
using element_count = int;
#endif

}  // namespace

// hiredis calls these instead of building its own tree of replies. They run inside C code, so they must not
// throw: both buffers are reserved to the guard's limits, and whatever would not fit ends as null = "out of
// memory".
struct reply_reader::callbacks {
  static reply& target(const redisReadTask* task) noexcept { return *static_cast<reply*>(task->privdata); }

  static void* element(const redisReadTask* task, reply::kind type) noexcept {
    reply& value = target(task);
    const bool nested = task->parent != nullptr;
    if (!nested) {
      value.type = type;
    } else if (type != reply::kind::integer) {
      value.type = reply::kind::mixed;
    }
    return &value;
  }

  static void* create_string(const redisReadTask* task, char* text, std::size_t size) noexcept {
    const reply::kind type = task->type == REDIS_REPLY_ERROR    ? reply::kind::error
                             : task->type == REDIS_REPLY_STATUS ? reply::kind::status
                                                                : reply::kind::bulk;
    reply& value = target(task);
    if (size > value.text.capacity()) return nullptr;
    if (task->parent == nullptr) value.text.assign(text, size);
    return element(task, type);
  }

  static void* create_array(const redisReadTask* task, element_count count) noexcept {
    if (static_cast<std::size_t>(count) > max_decision_elements) return nullptr;
    return element(task, reply::kind::integers);
  }

  static void* create_integer(const redisReadTask* task, long long number) noexcept {
    reply& value = target(task);
    if (value.integers.size() == value.integers.capacity()) return nullptr;
    value.integers.push_back(number);
    return element(task, reply::kind::integer);
  }

  static void* create_nil(const redisReadTask* task) noexcept { return element(task, reply::kind::nil); }

  // The value lives in the reader itself.
  static void free_object(void*) noexcept {}

  static redisReplyObjectFunctions table() noexcept {
    redisReplyObjectFunctions functions{};
    functions.createString = create_string;
    functions.createArray = create_array;
    functions.createInteger = create_integer;
    functions.createNil = create_nil;
    functions.freeObject = free_object;
    return functions;
  }
};

void reply_reader::free_reader::operator()(redisReader* reader) const noexcept {
  redisReaderFree(reader);
}

reply_reader::reply_reader() {
  static redisReplyObjectFunctions functions = callbacks::table();
  value_.text.reserve(max_reply_bytes);
  value_.integers.reserve(max_decision_elements);
  reader_.reset(redisReaderCreateWithFunctions(&functions));
  if (!reader_) throw std::bad_alloc();
  reader_->privdata = &value_;
}

reply_reader::~reply_reader() = default;

bool reply_reader::read(std::string_view bytes) {
  value_.text.clear();
  value_.integers.clear();
  if (redisReaderFeed(reader_.get(), bytes.data(), bytes.size()) != REDIS_OK) return false;
  void* parsed = nullptr;
  if (redisReaderGetReply(reader_.get(), &parsed) != REDIS_OK || parsed == nullptr) return false;
  return reader_->pos == reader_->len;
}

}  // namespace weir::limiter::redis
