// SPDX-License-Identifier: GPL-2.0-or-later
// One strict head of an HTTP/1.0 or 1.1 request (RFC 9112 sections 2-5), and nothing else of HTTP. Bounded:
// 48 KiB, for browsers bring the cookies of other servers of the same host along, and 100 lines. Any byte
// that cannot stand where it stands is refused at once, without waiting for the rest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "vncauthproxy/base/bytes.h"
#include "vncauthproxy/base/result.h"

namespace vncauthproxy::proto {

inline constexpr size_t kMaxHeadBytes = 48 * 1024;  // empty lines before it included; Part counts in 16 bits
inline constexpr size_t kMaxHeadLines = 100;        // the request line and the fields

// Two words of HTTP that do not care for case: names of fields, `close`, `websocket`.
bool same_word(std::string_view a, std::string_view b);

// A whole head. All views are loans from it. Names of fields are compared without regard to case.
class RequestHead {
 public:
  std::string_view method() const { return view(method_); }
  std::string_view target() const { return view(target_); }  // as sent, query included
  unsigned minor_version() const { return minor_version_; }  // the 1 of HTTP/1.1
  size_t field_count() const { return fields_.size(); }
  std::string_view name(size_t field) const { return view(fields_[field].name); }
  std::string_view value(size_t field) const { return view(fields_[field].value); }

  size_t count(std::string_view name) const;
  // The value of the first field of that name, or "".
  std::string_view first(std::string_view name) const;
  // The elements of all lists under that name, in order, blanks around them and empty ones dropped.
  std::vector<std::string_view> list(std::string_view name) const;
  // Is `word` among them? Without regard to case.
  bool lists(std::string_view name, std::string_view word) const;

 private:
  friend class HeadParser;
  struct Part {
    uint16_t at = 0, size = 0;
  };
  struct Field {
    Part name, value;
  };
  std::string_view view(Part part) const { return std::string_view(text_).substr(part.at, part.size); }

  std::string text_;
  Part method_, target_;
  unsigned minor_version_ = 0;
  std::vector<Field> fields_;
};

// Looks at each byte once, whatever pieces the head comes in.
class HeadParser {
 public:
  enum class Progress { need_more, done };

  // Takes the bytes of the head and not one more: what stays in `in` after `done` follows the blank line.
  // Errors: invalid (answer 400), too_large (answer 431). After an error nothing more is taken, and every
  // further call gives the same error.
  base::Result<Progress> advance(base::ByteReader& in);
  // After `done`.
  const RequestHead& head() const { return head_; }
  // Ready for the next request of the same connection.
  void clear() { *this = HeadParser(); }

 private:
  enum class State : uint8_t {
    method,
    empty_line,  // CR was seen in the place of a method (RFC 9112 section 2.2)
    target,
    version,
    line_start,
    name,
    before_value,
    value,
    line_end,  // CR was seen
    last_end,  // CR of the blank line was seen
    done
  };
  using Complaint = const char*;  // nullptr: none
  Complaint step(uint8_t byte);
  Complaint in_method(uint8_t byte);
  Complaint in_target(uint8_t byte);
  Complaint in_version(uint8_t byte);
  Complaint at_line_start(uint8_t byte);
  Complaint in_name(uint8_t byte);
  Complaint in_value(uint8_t byte);
  Complaint finish() const;
  RequestHead::Part part_so_far() const;

  RequestHead head_;
  State state_ = State::method;
  uint16_t part_at_ = 0;  // where the part in work begins
  Complaint complaint_ = nullptr;
};

}  // namespace vncauthproxy::proto
