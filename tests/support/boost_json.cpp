// SPDX-License-Identifier: Apache-2.0
// Boost.JSON, compiled once for the tests that parse what weir writes.
#include <boost/json/src.hpp>
