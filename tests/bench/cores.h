// SPDX-License-Identifier: GPL-2.0-or-later
// Which core runs whom. Where the scheduler puts a proxy and its peers changes a round trip threefold, for as
// long as the connection lives; where the places are given they are the same for everybody.
#pragma once

#include <cstdint>

#include "process_tree.h"

namespace vncauthproxy::bench {

// Of the cores that this program was started on: any of them, as the scheduler likes; all on the first; or
// the generator on the first and the proxy on the last.
enum class Cores : uint8_t { any, one, two };

// This process and all threads of the proxy; what they fork from now on goes there too.
void place(Cores cores, const ProcessTree& proxy);

}  // namespace vncauthproxy::bench
