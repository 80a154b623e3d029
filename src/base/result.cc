// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/base/result.h"

#include <cerrno>
#include <cstring>

namespace vncauthproxy::base {

Error system_error(int code, std::initializer_list<Piece> what) {
  const bool scarce = code == EMFILE || code == ENFILE || code == ENOMEM || code == ENOBUFS || code == EAGAIN;
  std::string text;
  for (const Piece& piece : what) text += piece.text();
  return {scarce ? ErrorCode::exhausted : ErrorCode::system, text + ": " + std::strerror(code)};
}

}  // namespace vncauthproxy::base
