// SPDX-License-Identifier: GPL-2.0-or-later
// From the target of a request to the names of files below the folder of pages. Opening them, so that no link
// leads out of it, is the worker's part.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "vncauthproxy/base/result.h"
#include "vncauthproxy/proto/http_answer.h"

namespace vncauthproxy::proto {

// Relative paths to try in this order: one, or for a target that ends in a slash index.html and vnc.html
// there. Percent signs are decoded once; query and fragment are dropped. No path has an empty segment, one
// that begins with a dot (`..` is thus never named, and hidden files neither), a backslash or a control
// character. Refusals: 400 for what is no target, 404 for what is never served.
base::Result<std::vector<std::string>, HttpRefusal> page_candidates(std::string_view target);

// By the extension of a path; "application/octet-stream" when that says nothing.
std::string_view media_type(std::string_view path);
// Text of any kind becomes a third or less by compression; pictures and sounds are compressed already.
bool is_text(std::string_view media_type);

}  // namespace vncauthproxy::proto
