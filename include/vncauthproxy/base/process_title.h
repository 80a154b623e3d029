// SPDX-License-Identifier: GPL-2.0-or-later
// What ps(1) shows of a process: its arguments, replaced by a title. Anybody may read it, so it never holds a
// secret.
#pragma once

#include <string_view>

namespace vncauthproxy::base {

// Remembers the room that the arguments and the environment have in memory, and moves the environment
// elsewhere. From main, before anything keeps a pointer into either.
void keep_title_room(int argc, char** argv);
// Cut to the room there is. Does nothing without keep_title_room().
void set_process_title(std::string_view title);

}  // namespace vncauthproxy::base
