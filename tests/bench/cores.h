// SPDX-License-Identifier: GPL-2.0-or-later
// Which core runs whom. Where the scheduler puts a proxy and its two peers changes what a moment costs by a
// factor of two or three, and lasts as long as the connection does; so for what is compared closely the
// places are given, and are the same for everybody.
#pragma once

#include <cstdint>

#include "process_tree.h"

namespace vncauthproxy::bench {

// Of the cores that this program was started on: any of them, as the scheduler likes; all on the first; or
// the generator on the first and the proxy on the last.
enum class Cores : uint8_t { any, one, two };

enum class Part : uint8_t { generator, proxy };

// What the calling process forks from now on goes there too.
void place_this_process(Cores cores, Part as);
// All its threads; what it forks from now on goes there too.
void place_proxy(Cores cores, const ProcessTree& proxy);

}  // namespace vncauthproxy::bench
