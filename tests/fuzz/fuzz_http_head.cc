// SPDX-License-Identifier: GPL-2.0-or-later
// Fuzz entry: the request head, and all that is decided by it: the upgrade, the refusals, the names of pages.
#include <algorithm>

#include "tests/fuzz/cuts.h"
#include "vncauthproxy/proto/base64.h"
#include "vncauthproxy/proto/http_head.h"
#include "vncauthproxy/proto/web_page.h"
#include "vncauthproxy/proto/ws_upgrade.h"

namespace vncauthproxy::proto {
namespace {

using testing::insist;

std::string describe(const RequestHead& head) {
  std::string text(head.method());
  text.append("|").append(head.target()).append("|").append(std::to_string(head.minor_version()));
  for (size_t i = 0; i < head.field_count(); ++i)
    text.append("\n").append(head.name(i)).append("=").append(head.value(i));
  return text;
}

std::string parse(const testing::Pieces& pieces, HeadParser& parser) {
  parser.clear();
  size_t taken = 0;
  for (const base::Bytes piece : pieces) {
    base::ByteReader in(piece);
    const auto progress = parser.advance(in);
    taken += piece.size() - in.size();
    if (!progress) return testing::visible(progress.error()) + " after " + std::to_string(taken);
    if (*progress == HeadParser::Progress::done)
      return "done after " + std::to_string(taken) + ": " + describe(parser.head());
    insist(in.size() == 0, "an unfinished head takes all there is");
  }
  return "needs more after " + std::to_string(taken);
}

void check_head(const RequestHead& head) {
  const size_t hosts = head.count("host");
  insist(hosts == 1 || (hosts == 0 && head.minor_version() == 0), "a head has one Host, or is of HTTP/1.0");
  insist(head.field_count() < kMaxHeadLines, "a head has at most 100 lines");
  insist(!head.method().empty() && !head.target().empty(), "a head is whole");
  for (size_t i = 0; i < head.field_count(); ++i) {
    const std::string_view value = head.value(i);
    insist(!head.name(i).empty() && head.count(head.name(i)) > 0, "a field has a name");
    insist(
        std::none_of(value.begin(), value.end(), [](char c) { return c == '\r' || c == '\n' || c == '\0'; }),
        "no line end and no NUL in a value");
    insist(value.empty() || (value.front() != ' ' && value.back() != ' '), "no blanks around a value");
  }
}

// A head of an answer, which holds nothing that the peer could have put there.
void check_answer(std::string_view text, std::string_view begin) {
  insist(text.starts_with(begin), "the status is the one decided");
  const size_t end = text.find("\r\n\r\n");
  insist(end != text.npos && text.size() - end < 200, "an answer is one head and a short text");
  insist(std::count(text.begin(), text.end(), '\r') <= 12, "an answer has a few lines");
}

void check_upgrade(const RequestHead& head) {
  const auto decision = decide_upgrade(head);
  if (!decision) {
    const unsigned status = decision.error().status;
    insist(status == 400 || status == 404 || status == 405 || status == 426,
           "a refusal has one of its statuses");
    check_answer(to_text(decision.error()), "HTTP/1.1 " + std::to_string(status) + " ");
    return;
  }
  insist(head.method() == "GET" && wants_websocket(head), "only an attempt succeeds");
  insist(base64_decoded_size(head.first("Sec-WebSocket-Key")) == 16, "only a right key succeeds");
  check_answer(decision->answer, "HTTP/1.1 101 ");
}

void check_pages(std::string_view target) {
  const auto pages = page_candidates(target);
  if (!pages) return;
  for (const std::string& path : *pages) {
    insist(!path.empty() && path.front() != '/' && path.back() != '/', "a path is relative and names a file");
    insist(("/" + path).find("/.") == path.npos, "no segment begins with a dot");
    insist(path.find("//") == path.npos, "no segment is empty");
    insist(std::none_of(path.begin(), path.end(),
                        [](char c) { return (c >= 0 && c < ' ') || c == '\x7F' || c == '\\'; }),
           "no control character and no backslash in a path");
    insist(!media_type(path).empty(), "every file has a type");
  }
}

}  // namespace
}  // namespace vncauthproxy::proto

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vncauthproxy;
  using namespace vncauthproxy::proto;
  const testing::FuzzInput input = testing::read_input({data, size});
  HeadParser parser;
  const std::string outcome = testing::same_in_any_pieces(
      input, [&](const testing::Pieces& pieces) { return parse(pieces, parser); });
  check_pages(base::as_text(input.transcript));
  if (!outcome.starts_with("done")) return 0;
  check_head(parser.head());
  check_upgrade(parser.head());
  check_pages(parser.head().target());
  return 0;
}
