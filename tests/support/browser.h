// SPDX-License-Identifier: GPL-2.0-or-later
// A headless Chromium under a program's control, by its DevTools protocol over a socket that it inherits:
// JSON messages, each ended by a NUL. One page at a time. And what noVNC's page says and shows.
#pragma once

#include <jansson.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/program.h"
#include "tests/support/socket.h"
#include "vncauthproxy/proto/handles.h"

namespace vncauthproxy::testing {

// A browser that starts on a busy machine, and a page with all its scripts.
inline constexpr seconds kBrowserPatience{90};

class Browser {
 public:
  // The name of the browser that is installed; "" when there is none.
  static std::string program();

  // Orphans of the browser are adopted by this process, which waits for them: nobody else would.
  Browser();
  ~Browser() { close(); }
  Browser(const Browser&) = delete;
  Browser& operator=(const Browser&) = delete;

  // Opens an address in a page of its own, which the further calls are about.
  bool open(const std::string& url, Deadline deadline = kBrowserPatience);
  void close_page();
  // The text that a script comes to; "" when it fails.
  std::string evaluate(const std::string& script, Deadline deadline = kBrowserPatience);
  // Until a condition of the page is true. It may fail for a while: the page is still on its way.
  bool wait_for(const std::string& condition, Deadline deadline = kBrowserPatience);
  std::string screenshot(Deadline deadline = kBrowserPatience);  // PNG
  std::string complaints() { return program_->err(); }
  // Ends it; true once no process of it is left. When it does not go by itself, it is killed.
  bool close();

  // noVNC: connected, and every pixel of its canvas came from the server.
  bool wait_for_picture(Deadline deadline = kBrowserPatience);
  // Its line of status; all text of the page when it has none.
  std::string novnc_words();

 private:
  using Json = base::Handle<json_t>;
  // One command and its answer; what comes in between are events. Takes the parameters over.
  Json call(const char* method, json_t* parameters, Deadline deadline);
  Json next_message(Deadline deadline);
  Json run_script(const std::string& script, Deadline deadline);
  std::vector<pid_t> orphans() const;

  Folder folder_;  // its profile and home: it may not look at those of whoever runs this
  std::vector<pid_t> other_children_;
  Socket line_;
  std::unique_ptr<Program> program_;
  std::string page_, session_, in_;
  int last_id_ = 0;
};

}  // namespace vncauthproxy::testing
