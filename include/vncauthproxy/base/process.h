// SPDX-License-Identifier: GPL-2.0-or-later
// What a Unix daemon does with its own process: detach, bound itself, keep others from looking into it.
#pragma once

#include <sys/resource.h>

#include "vncauthproxy/base/fd.h"
#include "vncauthproxy/base/result.h"

namespace vncauthproxy::base {

// Opens /dev/null in place of whichever of stdin, stdout and stderr is closed: the next socket would else
// take its number, and what is printed would go to a peer. First of all in main.
Result<void> fill_standard_descriptors();

// No core file, not traceable and its /proc closed to the same uid. Again after every change of uid.
Result<void> forbid_inspection();

// PR_SET_NO_NEW_PRIVS: no program that is run from here on gains rights by its set-user-ID bit or its file
// capabilities. Children have it too.
Result<void> forbid_new_privileges();

// Soft and hard limit to `most`, or to the hard limit of now where that is lower: for good, where the process
// has no privileges. `resource` is one of RLIMIT_*.
Result<void> lower_limit(int resource, rlim_t most);

// The starting side of a daemon. In the parent detach() does not return: it waits until the child calls
// ready(), then exits 0, or exits 1 when the child ends first (which has printed why on the stderr they still
// share). The child is in a session of its own, is no session leader, and its cwd is /.
class Readiness {
 public:
  Readiness() = default;  // foreground: nobody waits, ready() does nothing
  static Result<Readiness> detach();
  // Lets the parent go and points stdin, stdout and stderr at /dev/null. An error means that the terminal of
  // the start was kept.
  Result<void> ready();

 private:
  Fd parent_;
};

}  // namespace vncauthproxy::base
