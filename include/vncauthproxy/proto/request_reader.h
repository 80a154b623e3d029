// SPDX-License-Identifier: GPL-2.0-or-later
// Takes the request of one connection, whatever pieces it comes in, and tells the dialects apart. With a
// login there is one dialect; without one there are two, known by their keys: `destination_address` or
// `daddr`.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "vncauthproxy/base/result.h"
#include "vncauthproxy/proto/control.h"

namespace vncauthproxy::proto {

// What a listener may hear. Whoever may ask without a login may ask in both dialects, since neither can more
// than the other; `home` is the one that answers what is of neither.
struct Speech {
  bool login = true;
  Dialect home = Dialect::main;
};

class RequestReader {
 public:
  using Parsed = base::Result<Request, Failure>;
  explicit RequestReader(Speech speech) : speech_(speech), dialect_(speech.home) {}

  // `all` is what has come so far; nullopt: more has to come. The main dialect ends with the brace that
  // closes its object, at most kMaxRequestBytes; the vncap line with its LF, at most kMaxVncapBytes. A
  // listener at home in vncap takes the first line for the request, whatever it holds, and nothing that is
  // longer than such a line. Once it gave an answer it is over.
  std::optional<Parsed> advance(std::string_view all);

  size_t end() const { return end_; }           // of the request, once it was complete
  Dialect dialect() const { return dialect_; }  // for the reply, whatever becomes of the request

 private:
  Parsed take(std::string_view text);
  std::optional<Parsed> go_on(std::string_view all) const;

  Speech speech_;
  Dialect dialect_;
  ObjectFramer framer_;
  size_t framed_ = 0;
  bool line_expected_ = false;  // an object of the vncap dialect is there, its line is not over
  size_t end_ = 0;
};

// A reply in its dialect. It may hold a password: wipe it.
std::string to_text(Dialect dialect, const Reply& reply);

}  // namespace vncauthproxy::proto
