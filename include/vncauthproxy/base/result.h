// SPDX-License-Identifier: GPL-2.0-or-later
// How every expected failure is returned: a value, or an Error that says what to branch on and what to tell
// people. What a peer, a file or the network can cause is a Result; exceptions are for start-up and for bugs.
//
//   const auto file = open_for_reading(path);
//   if (!file) return file.error();  // hands the error on, whatever the caller's own value is
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
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

// A piece of text that lives already. To build one in the call of system_error() could change errno before it
// is read, so that does not compile: give its pieces, or build it before, with errno saved before that.
class Piece {
 public:
  Piece(const char* text) : text_(text) {}
  Piece(const std::string& text) : text_(text) {}
  Piece(std::string&&) = delete;
  std::string_view text() const { return text_; }

 private:
  std::string_view text_;
};
// An Error of code `system` (or `exhausted`, for EMFILE and its kind): "what: strerror(code)".
//
//   if (!fd) return system_error(errno, {"cannot open ", path});
Error system_error(int code, std::initializer_list<Piece> what);

template <typename T, typename E = Error>
class [[nodiscard]] Result {
 public:
  Result(T value) : content_(std::in_place_index<0>, std::move(value)) {}
  Result(E error) : content_(std::in_place_index<1>, std::move(error)) {}

  explicit operator bool() const { return content_.index() == 0; }
  T& operator*() & { return std::get<0>(content_); }
  const T& operator*() const& { return std::get<0>(content_); }
  T&& operator*() && { return std::get<0>(std::move(content_)); }
  T* operator->() { return &std::get<0>(content_); }
  const T* operator->() const { return &std::get<0>(content_); }
  E& error() { return std::get<1>(content_); }
  const E& error() const { return std::get<1>(content_); }

 private:
  std::variant<T, E> content_;
};

template <typename E>
class [[nodiscard]] Result<void, E> {
 public:
  Result() = default;
  Result(E error) : error_(std::move(error)) {}

  explicit operator bool() const { return !error_; }
  E& error() { return *error_; }
  const E& error() const { return *error_; }

 private:
  std::optional<E> error_;
};

}  // namespace vncauthproxy::base
