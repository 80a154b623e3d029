// SPDX-License-Identifier: GPL-2.0-or-later
// The life of a worker process, from its fork in the nursery to its exit: a spare until a Handover comes,
// then the worker of that forwarding.
#pragma once

#include "vncauthproxy/base/fd.h"
#include "vncauthproxy/net/tls.h"

namespace vncauthproxy::worker {

// Called in a fresh child. Of what was inherited it keeps the standard streams, the connection to the system
// logger and `tls`, whose context is ready but for the key. `channel` is its socket to the master, which gets
// its log lines too. Leaves by _exit; an exception ends the process.
[[noreturn]] void be_spare(base::Fd channel, net::TlsServer tls) noexcept;

}  // namespace vncauthproxy::worker
