// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/base/process_title.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <span>

namespace vncauthproxy::base {
namespace {

std::span<char> room;  // the kernel shows these bytes up to a NUL

}  // namespace

void keep_title_room(int argc, char** argv) {
  if (argc == 0) return;
  char* end = argv[0];
  for (int i = 0; i < argc && argv[i] == end; ++i) end += std::strlen(argv[i]) + 1;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (*entry == end) end += std::strlen(*entry) + 1;
    *entry = ::strdup(*entry);  // for the life of the process
  }
  room = {argv[0], static_cast<size_t>(end - argv[0])};
}

void set_process_title(std::string_view title) {
  if (room.empty()) return;
  const size_t size = std::min(title.size(), room.size() - 1);
  std::copy_n(title.begin(), size, room.begin());
  std::fill(room.begin() + static_cast<long>(size), room.end(), '\0');
}

}  // namespace vncauthproxy::base
