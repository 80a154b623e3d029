// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/net/unacknowledged.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>

namespace vncauthproxy::net {

using std::chrono::milliseconds;

milliseconds Unacknowledged::age(int fd) {
  int on_its_way = 0;  // sent and not acknowledged, or not sent yet
  tcp_info info{};
  socklen_t size = sizeof info;
  const bool known =
      ::ioctl(fd, SIOCOUTQ, &on_its_way) == 0 && ::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0;
  if (!known || on_its_way == 0) {
    since_.reset();
    return milliseconds(0);
  }
  const auto now = base::Clock::now();
  if (!since_) since_ = now;
  return std::min(std::chrono::floor<milliseconds>(now - *since_), milliseconds(info.tcpi_last_ack_recv));
}

}  // namespace vncauthproxy::net
