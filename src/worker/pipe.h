// SPDX-License-Identifier: GPL-2.0-or-later
// A pipe of the kernel: moves bytes from one socket to another without copying them (splice(2)).
#pragma once

#include <cstddef>
#include <vector>

#include "vncauthproxy/base/fd.h"
#include "vncauthproxy/net/stream.h"

namespace vncauthproxy::worker {

class Pipe {
 public:
  bool open();     // false: the kernel gives none of a useful size
  void enlarge();  // if the kernel allows it
  void close();    // what is in it is lost
  bool is_open() const { return static_cast<bool>(ends_.first); }
  size_t size() const { return filled_; }  // bytes in it
  bool empty() const { return filled_ == 0; }
  // In bytes, if each page of it were full of single bytes. A page may hold a longer piece: see kSize.
  size_t capacity() const { return capacity_; }

  net::Io fill(int from);
  // At most `most` bytes, which must not be more than size().
  net::Io drain(int to, size_t most);
  // Copies all that is in it to the end of `to`. False: the kernel failed.
  bool drain_into(std::vector<uint8_t>& to);

 private:
  void resize(int wanted);

  base::FdPair ends_;
  size_t capacity_ = 0;
  size_t filled_ = 0;
};

}  // namespace vncauthproxy::worker
