// SPDX-License-Identifier: GPL-2.0-or-later
#include "worker/link.h"

namespace vncauthproxy::worker {

using net::Io;
using net::IoStatus;

bool Link::send(base::Bytes rfb) {
  if (!owes()) {
    const Io io = stream_.write(rfb);
    if (io.status == IoStatus::error) return false;
    rfb = rfb.subspan(io.count);
  }
  owed_.insert(owed_.end(), rfb.begin(), rfb.end());
  return true;
}

bool Link::flush() {
  while (owes()) {
    const Io io = stream_.write(base::Bytes(owed_).subspan(sent_));
    if (io.status != IoStatus::ok) return io.status == IoStatus::again;
    sent_ += io.count;
  }
  owed_ = {};  // the memory goes back: a viewer that lagged once should not cost its session for good
  sent_ = 0;
  return true;
}

void Link::dismiss() {
  stream_.finish();
  uint8_t waste[4096];
  for (int i = 0; i < 16 && stream_.read(waste).status == IoStatus::ok; ++i) {
  }
}

}  // namespace vncauthproxy::worker
