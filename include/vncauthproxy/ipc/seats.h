// SPDX-License-Identifier: GPL-2.0-or-later
// How a worker gets its descriptors without a copy of the master's thousands. A fork copies the table of
// descriptors, and the child closes what is not its own: beside 5000 forwardings that is the greater part of
// its price. A child that shares the table costs nothing, and can take a copy of its low end alone
// (CLOSE_RANGE_UNSHARE, Linux 5.9); what it is to have must lie there until then. For that some of the lowest
// descriptors are kept, the seats.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <vector>

#include "vncauthproxy/base/fd.h"
#include "vncauthproxy/ipc/handover.h"

namespace vncauthproxy::ipc {

class Seats {
 public:
  static constexpr size_t kCount = 32;
  static constexpr size_t kMostOfOne = 4;  // a handover with more descriptors finds no seats

  // What of a handover is in seats: duplicates, which keep a listener open and a channel connected. They are
  // closed, and the seats free again, when this goes; that must be after the child has its own, as its first
  // message or its end shows.
  class Taken {
   public:
    Taken() = default;
    Taken(Taken&& other) noexcept;
    Taken& operator=(Taken&& other) noexcept;
    ~Taken() { give_back(); }

    explicit operator bool() const { return count_ != 0; }
    // In a child that shares its parent's table: takes a copy of the low end, and the handover's descriptors
    // from the seats. False: it could not, and must leave at once.
    bool settle(Handover& handover) const;

   private:
    friend class Seats;
    void give_back();

    Seats* seats_ = nullptr;
    std::array<int, kMostOfOne> taken_{};
    size_t count_ = 0;
  };

  // As early as possible, for they are the lowest that are free. Where they cannot be had, or clone3() is not
  // there, take() finds none.
  Seats();
  Seats(const Seats&) = delete;
  Seats& operator=(const Seats&) = delete;

  // None free: an empty one, and the child has to be forked with a copy of the table. The handover's own
  // descriptors stay open. This outlives what it gives.
  Taken take(Handover& handover);

 private:
  base::Fd empty_;  // what lies in a free seat
  std::vector<base::Fd> all_;
  std::vector<int> free_;
  unsigned end_ = 0;  // all of them are below
};

// A child that shares the table of descriptors; as fork(), but errors are negative.
pid_t fork_sharing_descriptors();

}  // namespace vncauthproxy::ipc
