// SPDX-License-Identifier: GPL-2.0-or-later
#include "master/login.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "vncauthproxy/proto/handles.h"

namespace vncauthproxy::master {
namespace {

std::span<uint8_t> bytes_of(std::span<char> room) {
  return {reinterpret_cast<uint8_t*>(room.data()), room.size()};
}

}  // namespace

Login::Login(users::Users users, std::vector<base::Network> exempt)
    : users_(std::move(users)), exempt_(std::move(exempt)), memory_(kDigestSize * (1 + kRemembered)) {
  base::random_bytes(bytes_of(memory_.room()).first(kDigestSize));
}

void Login::replace(users::Users users) {
  users_ = std::move(users);
  base::wipe(memory_.room().subspan(kDigestSize));
  next_ = filled_ = 0;
}

bool Login::verify(std::string_view user, const base::Secret& password) {
  Digest seen = digest(user, password);
  bool ok = remembered(seen);
  if (!ok && users_.verify(user, password)) {
    std::memcpy(memory_.room().data() + kDigestSize * (1 + next_), seen.data(), seen.size());
    next_ = (next_ + 1) % kRemembered;
    filled_ = std::min(filled_ + 1, kRemembered);
    ok = true;
  }
  base::wipe(std::span<uint8_t>(seen));
  return ok;
}

// SHA-256 with the key in front. That is no MAC for strangers, who could lengthen the text; but nobody is
// shown a digest, and none is taken from anybody.
Login::Digest Login::digest(std::string_view user, const base::Secret& password) const {
  const uint64_t user_size = user.size();  // it keeps "ab"+"c" and "a"+"bc" apart
  Digest digest{};
  const base::Handle<EVP_MD_CTX> hash(EVP_MD_CTX_new());
  const bool done = hash && EVP_DigestInit_ex(hash.get(), EVP_sha256(), nullptr) == 1 &&
                    EVP_DigestUpdate(hash.get(), memory_.room().data(), kDigestSize) == 1 &&
                    EVP_DigestUpdate(hash.get(), &user_size, sizeof user_size) == 1 &&
                    EVP_DigestUpdate(hash.get(), user.data(), user.size()) == 1 &&
                    EVP_DigestUpdate(hash.get(), password.reveal().data(), password.size()) == 1 &&
                    EVP_DigestFinal_ex(hash.get(), digest.data(), nullptr) == 1;
  if (!done) throw std::runtime_error("SHA-256 failed");
  return digest;
}

bool Login::remembered(const Digest& digest) const {
  bool found = false;
  for (size_t i = 0; i < filled_; ++i) {
    const auto known = bytes_of(memory_.room()).subspan(kDigestSize * (1 + i), kDigestSize);
    found |= base::equal_secrets(base::Bytes(known), base::Bytes(digest));
  }
  return found;
}

std::chrono::milliseconds Login::failed(const base::Endpoint& peer, Clock::time_point now) {
  if (peer.is_loopback() || base::any_contains(exempt_, peer)) return {};
  const std::string host = peer.host();
  if (failures_.size() >= kMaxAddresses && !failures_.contains(host)) {
    const auto oldest =
        std::min_element(failures_.begin(), failures_.end(),
                         [](const auto& a, const auto& b) { return a.second.since < b.second.since; });
    failures_.erase(oldest);
  }
  Failures& failures = failures_[host];
  if (failures.count == 0 || now - failures.since > kWindow) failures = {0, now};
  return ++failures.count > kFailuresAllowed ? kPenalty : std::chrono::milliseconds(0);
}

bool Login::suspect(const base::Endpoint& peer, Clock::time_point now) const {
  const auto at = failures_.find(peer.host());
  return at != failures_.end() && at->second.count > kFailuresAllowed && now - at->second.since <= kWindow;
}

}  // namespace vncauthproxy::master
