// SPDX-License-Identifier: GPL-2.0-or-later
// How every expected failure is returned: a value, or an Error that says what to branch on and what to tell
// people. What a peer, a file or the network can cause is a Result; exceptions are for start-up and for bugs.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>

namespace vncauthproxy::base {

enum class ErrorCode : uint8_t {
  invalid,      // breaks a grammar or a rule
  too_large,    // over a limit of ours
  unsupported,  // well formed, but nothing we speak
  denied,       // a credential or a permission is missing or wrong
  missing,      // there is no such file
  refused,      // the peer said no
  unreachable,  // no way to the peer
  timeout,      // not within the time allowed
  closed,       // the peer ended the conversation
  in_use,       // somebody else holds it
  exhausted,    // out of descriptors, ports, processes, memory
  system        // any other failure of the system
};

struct Error {
  ErrorCode code = ErrorCode::system;
  std::string detail;  // one line for people, without a secret in it; foreign text is not yet escaped
};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : content_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : content_(std::in_place_index<1>, std::move(error)) {}

  explicit operator bool() const { return content_.index() == 0; }
  T& operator*() & { return std::get<0>(content_); }
  const T& operator*() const& { return std::get<0>(content_); }
  T&& operator*() && { return std::get<0>(std::move(content_)); }
  T* operator->() { return &std::get<0>(content_); }
  const T* operator->() const { return &std::get<0>(content_); }
  Error& error() { return std::get<1>(content_); }
  const Error& error() const { return std::get<1>(content_); }

 private:
  std::variant<T, Error> content_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)), ok_(false) {}

  explicit operator bool() const { return ok_; }
  Error& error() { return error_; }
  const Error& error() const { return error_; }

 private:
  Error error_;
  bool ok_ = true;
};

}  // namespace vncauthproxy::base
