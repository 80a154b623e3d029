// SPDX-License-Identifier: GPL-2.0-or-later
// System calls that fail, as on an old kernel or in a strict container: for a process and all its children,
// for good (seccomp(2)).
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "tests/support/in_child.h"

namespace vncauthproxy::testing {

struct DeniedCall {
  long number;        // SYS_...
  int argument = -1;  // only where this argument, the first is 0, has this value
  uint32_t value = 0;
};

class DeniedCalls {
 public:
  explicit DeniedCalls(const std::vector<DeniedCall>& calls, int error = ENOSYS) {
    const uint32_t refusal = SECCOMP_RET_ERRNO | (static_cast<uint32_t>(error) & SECCOMP_RET_DATA);
    for (const DeniedCall& call : calls) {
      add(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr));
      const bool any = call.argument < 0;
      add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(call.number), any ? 1 : 3);
      if (!any) {
        add(BPF_LD | BPF_W | BPF_ABS, low_half_of(call.argument));
        add(BPF_JMP | BPF_JEQ | BPF_K, call.value, 1);
      }
      add(BPF_RET | BPF_K, refusal);
    }
    add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  }

  // From here on. Without the rights of root it takes PR_SET_NO_NEW_PRIVS. False: the kernel would not.
  bool install() const {
    sock_fprog program{static_cast<unsigned short>(code_.size()), const_cast<sock_filter*>(code_.data())};
    return ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0 ||
           (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
            ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
  }

 private:
  void add(unsigned code, uint32_t k, uint8_t skip_unless = 0) {
    code_.push_back({static_cast<uint16_t>(code), 0, skip_unless, k});
  }
  static uint32_t low_half_of(int argument) {
    const size_t half = std::endian::native == std::endian::big ? sizeof(uint32_t) : 0;
    return static_cast<uint32_t>(offsetof(seccomp_data, args) +
                                 static_cast<size_t>(argument) * sizeof(uint64_t) + half);
  }

  std::vector<sock_filter> code_;
};

// Whether a test may do that here.
inline bool calls_can_be_denied() {
  return in_child([] { return DeniedCalls({}).install() ? 0 : 1; }) == 0;
}

}  // namespace vncauthproxy::testing
