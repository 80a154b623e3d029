// SPDX-License-Identifier: GPL-2.0-or-later
// The life of a worker process, from just after its fork to its exit.
#pragma once

#include "vncauthproxy/ipc/handover.h"

namespace vncauthproxy::worker {

// Called in a fresh child with all signals blocked. Of what was inherited only the handover and the standard
// streams are kept: every other descriptor is closed, no event of the parent's loop is ever touched (the two
// share one epoll instance), and the process leaves by _exit.
[[noreturn]] void worker_main(ipc::Handover handover);

}  // namespace vncauthproxy::worker
