// SPDX-License-Identifier: GPL-2.0-or-later
// The values of a JSON object by key, checked: what the dialects of the control protocol share. The first
// complaint is kept, and what is asked for after it comes back empty. No complaint quotes a value.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "vncauthproxy/base/result.h"
#include "vncauthproxy/base/secret.h"
#include "vncauthproxy/proto/control.h"
#include "vncauthproxy/proto/handles.h"

namespace vncauthproxy::proto {

// All of `text` as one JSON object, behind a byte order mark or not; a key that stands twice is refused.
base::Result<base::Handle<json_t>, Failure> parse_object(std::string_view text);

// The request of an object, in its dialect.
base::Result<Request, Failure> read_request(const json_t* object, bool with_login);
base::Result<Request, Failure> read_vncap_request(const json_t* object);

class Fields {
 public:
  // `prefix` goes before keys in complaints: "client." for the object of the key "client".
  explicit Fields(const json_t* object, const char* prefix = "") : object_(object), prefix_(prefix) {}

  const std::string& problem() const { return problem_; }
  void complain(const std::string& key, std::string_view rule) {
    if (problem_.empty()) problem_ = prefix_ + key + " " + std::string(rule);
  }
  void adopt(const Fields& inner) {
    if (problem_.empty()) problem_ = inner.problem_;
  }

  bool present(const char* key) const;  // and not null

  // Required keys. The views live as long as the object.
  std::string_view text(const char* key);
  std::string_view short_text(const char* key, size_t max_bytes);
  uint16_t port(const char* key);     // 1 to 65535
  std::string host(const char* key);  // not empty, without blanks and control characters
  // A whole number, 5900 or 5900.0, or a string of digits between blanks; nullopt is not yet a complaint
  // unless the key is missing.
  std::optional<int64_t> integer(const char* key);

  // Optional keys: missing and null are the same.
  base::Secret secret(const char* key);                // empty: not given; an empty string is refused
  bool flag(const char* key);                          // false when not given
  std::chrono::milliseconds seconds(const char* key);  // 0 when not given; above 0 otherwise
  const json_t* object(const char* key);               // nullptr when not given

 private:
  const json_t* required(const char* key);

  const json_t* object_;
  std::string prefix_;
  std::string problem_;
};

}  // namespace vncauthproxy::proto
