// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/ipc/handover.h"

#include <iterator>
#include <string_view>
#include <utility>

namespace vncauthproxy::ipc {

std::vector<base::Fd*> descriptors(Handover& handover) {
  std::vector<base::Fd*> all;
  all.reserve(handover.listeners.size() + 2);
  all.push_back(&handover.channel);
  for (base::Fd& listener : handover.listeners) all.push_back(&listener);
  if (handover.web) all.push_back(&handover.web);
  return all;
}

Handover rehouse(Handover handover) {
  handover.destination_address = std::string(std::string_view(handover.destination_address));
  handover.server_password = base::Secret(handover.server_password.reveal());
  handover.password = base::Secret(handover.password.reveal());
  handover.first_trial.expected = base::Secret(handover.first_trial.expected.reveal());
  handover.tls.key_text = base::Secret(handover.tls.key_text.reveal());
  handover.listeners = std::vector<base::Fd>(std::move_iterator(handover.listeners.begin()),
                                             std::move_iterator(handover.listeners.end()));
  return handover;
}

}  // namespace vncauthproxy::ipc
