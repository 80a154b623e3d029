// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/base/identity.h"

#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

#include "vncauthproxy/base/process.h"

namespace vncauthproxy::base {
namespace {

Error denied(std::string what) {
  return {ErrorCode::denied, std::move(what)};
}

// All of `text` as an id. The largest one means "leave as it is" to the kernel, so it is nobody's.
std::optional<uint32_t> numeric_id(std::string_view text) {
  uint32_t id = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || stop != text.data() + text.size()) return std::nullopt;
  if (id == std::numeric_limits<uint32_t>::max()) return std::nullopt;
  return id;
}

Error no_such_user(const std::string& user) {
  return {
      ErrorCode::invalid,
      "there is no user " + user +
          "; create one (useradd --system --user-group --home-dir /nonexistent --shell /usr/sbin/nologin " +
          user + ") or name another with --user"};
}

// "Not found" has many numbers in the C library's name services; these mean that nobody could look.
bool lookup_failed() {
  return errno == EIO || errno == EMFILE || errno == ENFILE || errno == ENOMEM;
}

// The bounding set matters no more once there are no new privileges: a container that does not let us drop it
// is no reason not to start.
void drop_bounding_set() {
  for (unsigned long capability = 0; capability < 64; ++capability)
    if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) return;
}

// Leaving uid 0 empties all sets but the inheritable one.
Result<void> drop_capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
  if (::syscall(SYS_capset, &header, none) != 0) return system_error(errno, {"capset"});
  __user_cap_data_struct left[_LINUX_CAPABILITY_U32S_3];
  if (::syscall(SYS_capget, &header, left) != 0) return system_error(errno, {"capget"});
  if (std::memcmp(left, none, sizeof left) != 0) return denied("capabilities were kept");
  return {};
}

Result<void> verify_identity(const Identity& wanted) {
  uid_t uids[3];
  gid_t gids[3];
  if (::getresuid(&uids[0], &uids[1], &uids[2]) != 0) return system_error(errno, {"getresuid"});
  if (::getresgid(&gids[0], &gids[1], &gids[2]) != 0) return system_error(errno, {"getresgid"});
  for (const uid_t uid : uids)
    if (uid != wanted.uid) return denied("the process kept uid " + std::to_string(uid));
  for (const gid_t gid : gids)
    if (gid != wanted.gid) return denied("the process kept gid " + std::to_string(gid));
  if (::getgroups(0, nullptr) != 0) return denied("the process kept supplementary groups");
  if (wanted.uid != 0 && (::setuid(0) == 0 || ::seteuid(0) == 0))
    return denied("the way back to root is open");
  return {};
}

}  // namespace

Result<gid_t> find_group(const std::string& group) {
  errno = 0;
  if (const struct group* entry = ::getgrnam(group.c_str())) return entry->gr_gid;
  if (lookup_failed()) return system_error(errno, {"cannot look up the group ", group});
  if (const auto id = numeric_id(group)) return *id;
  return Error{ErrorCode::invalid, "there is no group " + group + "; create one (groupadd --system " + group +
                                       ") or name another"};
}

Result<Identity> find_identity(const std::string& user, const std::string& group) {
  errno = 0;
  const struct passwd* entry = ::getpwnam(user.c_str());
  if (entry == nullptr && lookup_failed()) return system_error(errno, {"cannot look up the user ", user});
  const auto number = numeric_id(user);
  if (entry == nullptr && !number) return no_such_user(user);
  if (entry == nullptr) entry = ::getpwuid(*number);
  if (entry == nullptr && group.empty())
    return Error{ErrorCode::invalid,
                 "there is no user with the number " + user + "; name a group too, with --group"};

  Identity identity{entry != nullptr ? entry->pw_uid : *number, entry != nullptr ? entry->pw_gid : 0};
  if (group.empty()) return identity;
  Result<gid_t> gid = find_group(group);
  if (!gid) return gid.error();
  identity.gid = *gid;
  return identity;
}

Result<void> become(const Identity& identity) {
  if (identity.uid != 0) drop_bounding_set();
  if (::setgroups(0, nullptr) != 0) return system_error(errno, {"setgroups"});
  if (::setresgid(identity.gid, identity.gid, identity.gid) != 0) return system_error(errno, {"setresgid"});
  if (::setresuid(identity.uid, identity.uid, identity.uid) != 0) return system_error(errno, {"setresuid"});
  if (identity.uid != 0)
    if (Result<void> dropped = drop_capabilities(); !dropped) return dropped;
  if (Result<void> verified = verify_identity(identity); !verified) return verified;
  if (Result<void> forbidden = forbid_new_privileges(); !forbidden) return forbidden;
  return forbid_inspection();  // the change of uid undid it
}

}  // namespace vncauthproxy::base
