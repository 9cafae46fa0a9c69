// SPDX-License-Identifier: Apache-2.0
// Where a change of a file would show.
#pragma once

#include <set>
#include <string>

namespace weir::proxy {

/// Adds the directories whose entries decide what `path` names: that of the file and that of every link on
/// the way to it, as paths without links. Of what is not there, the last directory that is. At most 40 links
/// are followed.
void add_deciding_directories(std::set<std::string>& directories, const std::string& path);

}  // namespace weir::proxy
