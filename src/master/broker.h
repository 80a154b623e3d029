// SPDX-License-Identifier: GPL-2.0-or-later
// From a request to its answer: a port, a record, a spare that gets the Handover, and what its worker says.
#pragma once

#include <ctime>
#include <deque>
#include <functional>
#include <string>

#include "master/certificate.h"
#include "master/forwarding_number.h"
#include "master/forwardings.h"
#include "master/port_pool.h"
#include "master/worker_supply.h"
#include "vncauthproxy/base/secret.h"
#include "vncauthproxy/config/options.h"
#include "vncauthproxy/ipc/handover.h"
#include "vncauthproxy/proto/control.h"

namespace vncauthproxy::master {

class Broker {
 public:
  // False: that control connection is gone.
  using Reply = std::function<bool(uint64_t conn, const proto::Reply& reply)>;
  // All loans. `web` is the folder of pages, or none.
  Broker(const config::Options& options, const Certificates& certificates, const std::string& proxy_address,
         const base::Fd& web, PortPool& ports, Forwardings& forwardings, WorkerSupply& workers, Reply reply);

  // A control client that has logged in, where it has to, asks for a forwarding.
  void requested(uint64_t conn, const std::string& who, proto::Request request);
  void spare_ready();
  void not_born(int error);
  // What Forwardings tells: see there.
  bool answer(Forwarding& forwarding, const std::optional<proto::Failure>& failure);
  // Requests that wait for a spare are refused.
  void stop();

 private:
  bool hand_over(Forwarding& forwarding, Spare spare);
  ipc::Handover make_handover(Forwarding& forwarding) const;
  std::string page_url(proto::ViewerType type, uint16_t port) const;
  void set_times(Forwarding& forwarding) const;
  std::string warning(const Forwarding& forwarding) const;

  const config::Options& options_;
  const Certificates& certificates_;
  const std::string& proxy_address_;
  const base::Fd& web_;
  PortPool& ports_;
  Forwardings& forwardings_;
  WorkerSupply& workers_;
  Reply reply_;
  std::deque<uint32_t> waiting_;  // forwardings that have no spare yet, oldest first
  base::SecretPages packet_;      // a Handover on its way
  uint32_t next_id_ = first_forwarding_number(std::time(nullptr));
};

}  // namespace vncauthproxy::master
