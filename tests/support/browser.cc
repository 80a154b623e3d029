// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/support/browser.h"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <stdexcept>

#include "tests/support/daemon.h"
#include "tests/support/ws_viewer.h"

namespace vncauthproxy::testing {
namespace {

constexpr seconds kGoodbye{30};

const json_t* member(const json_t* object, const char* outer, const char* inner) {
  return json_object_get(json_object_get(object, outer), inner);
}

std::string text_at(const json_t* object, const char* outer, const char* inner) {
  const char* text = json_string_value(member(object, outer, inner));
  return text ? text : "";
}

std::vector<std::string> command(const std::string& profile) {
  // It may run as root and in a container, where its sandbox cannot be; what it opens is ours. Certificates
  // of tests are self-signed. /dev/shm is a few MiB in many containers.
  return {Browser::program(),
          "--headless",
          "--no-sandbox",
          "--disable-gpu",
          "--disable-dev-shm-usage",
          "--disable-breakpad",
          "--disable-crash-reporter",
          "--disable-background-networking",
          "--disable-component-update",
          "--disable-sync",
          "--no-first-run",
          "--no-proxy-server",
          "--password-store=basic",
          "--mute-audio",
          "--ignore-certificate-errors",
          "--force-device-scale-factor=1",
          "--window-size=800,600",
          "--user-data-dir=" + profile,
          "--remote-debugging-pipe",
          "about:blank"};
}

}  // namespace

std::string Browser::program() {
  for (const char* name : {"chromium", "chromium-browser"})
    if (installed(name)) return name;
  return "";
}

Browser::Browser() : other_children_(children_of(::getpid())) {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    throw std::runtime_error("no line to the browser");
  line_ = Socket(base::Fd(ends[0]));
  base::set_nonblocking(ends[0]);
  const base::Fd theirs(ends[1]);  // blocking, as it expects
  program_ = std::make_unique<Program>(
      command(folder_.file("profile")),
      ProgramSetup{.environment = {"HOME=" + folder_.path(), "XDG_CONFIG_HOME=" + folder_.file("config"),
                                   "XDG_CACHE_HOME=" + folder_.file("cache")},
                   .pass = {theirs.get(), theirs.get()}});  // commands are read from 3, answers written to 4
}

bool Browser::open(const std::string& url, Deadline deadline) {
  close_page();
  const Json created = call("Target.createTarget", json_pack("{s:s}", "url", url.c_str()), deadline);
  page_ = text_at(created.get(), "result", "targetId");
  const Json attached = call("Target.attachToTarget",
                             json_pack("{s:s,s:b}", "targetId", page_.c_str(), "flatten", 1), deadline);
  session_ = text_at(attached.get(), "result", "sessionId");
  return !session_.empty();
}

void Browser::close_page() {
  session_.clear();
  if (!page_.empty()) call("Target.closeTarget", json_pack("{s:s}", "targetId", page_.c_str()), kGoodbye);
  page_.clear();
}

std::string Browser::evaluate(const std::string& script, Deadline deadline) {
  const Json answer = run_script(script, deadline);
  const json_t* result = member(answer.get(), "result", "result");
  const char* text = json_string_value(json_object_get(result, "value"));
  return text ? text : "";
}

bool Browser::wait_for(const std::string& condition, Deadline deadline) {
  // The page looks by itself, a second at a time: a navigation in between breaks the promise, and it is made
  // again.
  const std::string script =
      "new Promise(done=>{const end=Date.now()+1000,look=()=>{let good=false;try{good=!!(" + condition +
      ")}catch(error){}if(good||Date.now()>end)done(good?'yes':'no');else setTimeout(look,20)};look()})";
  bool found = false;
  wait_until([&] { return (found = evaluate(script, deadline) == "yes") || !program_->running(); }, deadline);
  return found;
}

std::string Browser::screenshot(Deadline deadline) {
  const Json answer = call("Page.captureScreenshot", json_object(), deadline);
  return base64_decoded(text_at(answer.get(), "result", "data"));
}

bool Browser::close() {
  if (!program_) return true;
  session_.clear();
  call("Browser.close", json_object(), kGoodbye);
  if (program_->wait(kGoodbye) < 0) program_->signal(SIGKILL);
  const auto ended = [this] { return !program_->running() && orphans().empty(); };
  bool gone = wait_until(ended, kGoodbye);
  if (!gone) {
    for (const pid_t pid : orphans()) send_signal(pid, SIGKILL);
    gone = wait_until(ended);
  }
  program_.reset();
  return gone;
}

bool Browser::wait_for_picture(Deadline deadline) {
  // The canvas is transparent where nothing has come yet.
  return wait_for(
      "(()=>{const c=document.querySelector('canvas');"
      "if(!c.width||!document.documentElement.classList.contains('noVNC_connected'))return false;"
      "const d=c.getContext('2d').getImageData(0,0,c.width,c.height).data;"
      "for(let i=3;i<d.length;i+=4)if(d[i]!=255)return false;return true})()",
      deadline);
}

std::string Browser::novnc_words() {
  return evaluate(
      "(()=>{const s=document.getElementById('noVNC_status');return "
      "s?s.textContent:document.body.innerText})()");
}

Browser::Json Browser::call(const char* method, json_t* parameters, Deadline deadline) {
  const Json command(json_pack("{s:i,s:s,s:o}", "id", ++last_id_, "method", method, "params", parameters));
  if (!session_.empty()) json_object_set_new(command.get(), "sessionId", json_string(session_.c_str()));
  char* text = json_dumps(command.get(), JSON_COMPACT);
  const std::string message = text ? text : "";
  std::free(text);
  if (!line_.send(std::string_view(message.c_str(), message.size() + 1), deadline)) return {};
  for (;;) {
    Json answer = next_message(deadline);
    if (!answer || json_integer_value(json_object_get(answer.get(), "id")) == last_id_) return answer;
  }
}

Browser::Json Browser::next_message(Deadline deadline) {
  for (;;) {
    if (const size_t end = in_.find('\0'); end != std::string::npos) {
      Json message(json_loadb(in_.data(), end, 0, nullptr));
      in_.erase(0, end + 1);
      return message;
    }
    std::array<uint8_t, 65536> room;
    size_t got = 0;
    if (line_.read_some(room, &got, deadline) != Got::data) return {};
    in_.append(reinterpret_cast<const char*>(room.data()), got);
  }
}

Browser::Json Browser::run_script(const std::string& script, Deadline deadline) {
  return call("Runtime.evaluate",
              json_pack("{s:s,s:b,s:b}", "expression", script.c_str(), "returnByValue", 1, "awaitPromise", 1),
              deadline);
}

// Helpers of the browser whose parent is gone. Those that have ended are buried here.
std::vector<pid_t> Browser::orphans() const {
  std::vector<pid_t> left;
  for (const pid_t child : children_of(::getpid())) {
    if (child == program_->pid() ||
        std::find(other_children_.begin(), other_children_.end(), child) != other_children_.end())
      continue;
    if (::waitpid(child, nullptr, WNOHANG) != child) left.push_back(child);
  }
  return left;
}

}  // namespace vncauthproxy::testing
