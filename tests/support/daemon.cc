// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/support/daemon.h"

#include <crypt.h>
#include <jansson.h>
#include <pwd.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <stdexcept>

#include "vncauthproxy/base/secret.h"
#include "vncauthproxy/proto/handles.h"

namespace vncauthproxy::testing {
namespace {

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    if (static_cast<unsigned char>(c) < 0x20) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\u%04x", c);
      result += escaped;
    } else {
      result += c;
    }
  }
  return result + '"';
}

// What a daemon of another user has to reach after it gave up root: its folder and its users file.
void give_to(const std::string& user, const Folder& folder) {
  const passwd* entry = ::geteuid() == 0 ? ::getpwnam(user.c_str()) : nullptr;
  if (!entry) return;
  for (const std::string& path : {folder.path(), folder.file("users")})
    if (::chown(path.c_str(), entry->pw_uid, entry->pw_gid) != 0) std::perror(path.c_str());
}

std::string text_of(const json_t* object, const char* key) {
  const char* text = json_string_value(json_object_get(object, key));
  return text ? text : "";
}

// The port at the end of the line's address: "Listening for control clients at 127.0.0.1:4711".
uint16_t port_in(const std::string& log, const std::string& clients = "control clients") {
  const size_t at = log.find("Listening for " + clients + " at ");
  const size_t end = log.find('\n', at);
  if (at == std::string::npos || end == std::string::npos) return 0;
  const size_t colon = log.rfind(':', end);
  return static_cast<uint16_t>(std::strtoul(log.c_str() + colon + 1, nullptr, 10));
}

}  // namespace

std::string user_line(const std::string& user, const std::string& password) {
  auto data = std::make_unique<crypt_data>();
  // Not crypt_r(): the sanitizers' runtime has a function of that name, and libcrypt would not be linked.
  const char* hash =
      ::crypt_rn(password.c_str(), "$6$rounds=1000$testsalttestsalt$", data.get(), sizeof *data);
  if (!hash) throw std::runtime_error("crypt failed");
  return user + ":" + hash + "\n";
}

std::string Request::json() const {
  std::string text = "{\"auth_user\": " + quoted(auth_user) +
                     ", \"auth_password\": " + quoted(auth_password) +
                     ", \"source_port\": " + std::to_string(source_port) +
                     ", \"destination_address\": " + quoted(destination_address) +
                     ", \"destination_port\": " + std::to_string(destination_port) +
                     ", \"password\": " + quoted(password) + ", \"type\": " + quoted(type);
  if (!server_password.empty()) text += ", \"server_password\": " + quoted(server_password);
  return text + "}";
}

Reply parse_reply(std::string text) {
  Reply reply;
  reply.text = std::move(text);
  const base::Handle<json_t> object(
      json_loadb(reply.text.data(), reply.text.size(), JSON_REJECT_DUPLICATES, nullptr));
  if (!json_is_object(object.get())) return reply;
  reply.is_json = true;
  reply.port = static_cast<uint16_t>(json_integer_value(json_object_get(object.get(), "source_port")));
  reply.status = text_of(object.get(), "status");
  reply.address_is_null = json_is_null(json_object_get(object.get(), "proxy_address"));
  reply.proxy_address = text_of(object.get(), "proxy_address");
  reply.reason = text_of(object.get(), "reason");
  reply.code = text_of(object.get(), "code");
  reply.password = text_of(object.get(), "password");
  reply.warning = text_of(object.get(), "warning");
  return reply;
}

bool Reply::failed(std::string_view expected_code) const {
  return is_json && text.size() < 1000 && status == "FAILED" && port == 0 && address_is_null &&
         text.find("\"source_port\": 0") != std::string::npos && !reason.empty() && code == expected_code;
}

std::vector<std::string> daemon_command(const Folder& folder, uint16_t first_port, const DaemonSetup& setup) {
  write_file(folder.file("users"), setup.users.empty() ? user_line(kUser, kLoginSecret) : setup.users);
  write_file(folder.file("config"), "");
  give_to(setup.user, folder);
  std::vector<std::string> argv = {built("vncauthproxy"),
                                   "--config",
                                   folder.file("config"),
                                   "--auth-file",
                                   folder.file("users"),
                                   "--pid-file",
                                   folder.file("pid"),
                                   "--cert-file",
                                   folder.file("cert.pem"),
                                   "--key-file",
                                   folder.file("key.pem"),
                                   "--listen-port",
                                   "0",
                                   "--min-port",
                                   std::to_string(first_port),
                                   "--max-port",
                                   std::to_string(first_port + setup.ports - 1)};
  if (::geteuid() == 0) argv.insert(argv.end(), {"--user", setup.user});
  argv.insert(argv.end(), setup.options.begin(), setup.options.end());
  return argv;
}

Daemon::Daemon(DaemonSetup setup) : log_(setup.log, folder_.path()), min_port_(find_free_range(setup.ports)) {
  if (min_port_ == 0) throw std::runtime_error("no free range of ports");
  max_port_ = static_cast<uint16_t>(min_port_ + setup.ports - 1);
  std::vector<std::string> argv = daemon_command(folder_, min_port_, setup);
  argv.insert(argv.begin() + 1, {"--foreground", "--log", log_.option()});
  if (setup.names.any()) argv = with_own_names(folder_, setup.names, std::move(argv));
  program_ = std::make_unique<Program>(
      std::move(argv), ProgramSetup{.descriptors = setup.descriptors, .denied = setup.denied});
  wait_until([this] { return (port_ = port_in(log())) != 0 || !running(); });
  if (port_ == 0) throw std::runtime_error("the daemon did not start: " + log());
}

std::string Daemon::forwarding(unsigned nth) {
  const std::string text = log();
  const size_t number = text.rfind(": F", text.find(" requested by ")) + 3;
  return "F" + std::to_string(std::strtoul(text.c_str() + number, nullptr, 10) + nth - 1) + " ";
}

uint16_t Daemon::port_for(const std::string& clients) {
  uint16_t port = 0;
  wait_until([&] { return (port = port_in(log(), clients)) != 0; });
  return port;
}

Daemon::~Daemon() {
  // SIGTERM first: its workers go with it then.
  if (program_ && program_->running()) {
    program_->signal(SIGTERM);
    if (program_->wait(seconds(10)) < 0) std::fprintf(stderr, "the daemon did not end on SIGTERM\n");
  }
  if (std::getenv("VNCAUTHPROXY_TEST_LOG")) std::fprintf(stderr, "%s", log().c_str());
}

Reply Daemon::request(std::string_view bytes, Deadline deadline) const {
  Socket control = Socket::connect("127.0.0.1", port_, deadline);
  control.send(bytes, deadline);
  return parse_reply(control.read_to_end(nullptr, deadline));
}

Reply Daemon::request(const Request& wanted, Deadline deadline) const {
  return request(wanted.json(), deadline);
}

uint16_t Daemon::forwarding_to(uint16_t backend_port) const {
  const Reply reply = request(Request{.destination_port = backend_port});
  return reply.ok() ? reply.port : uint16_t{0};
}

int Daemon::stop() {
  program_->signal(SIGTERM);
  return program_->wait();
}

std::vector<pid_t> children_of(pid_t pid) {
  std::vector<pid_t> children;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::string stat = read_file(entry.path() / "stat");
    const size_t after_name = stat.rfind(')');  // the name may hold anything
    char state = 0;
    int parent = 0;
    if (after_name != std::string::npos &&
        std::sscanf(stat.c_str() + after_name + 1, " %c %d", &state, &parent) == 2 && parent == pid)
      children.push_back(static_cast<pid_t>(std::stol(name)));
  }
  return children;
}

namespace {

// What the daemon calls its processes, without the name in front: "nursery", "spare", "F42 live".
std::string title_of(pid_t pid) {
  constexpr std::string_view kName = "vncauthproxy: ";
  const std::string line = read_file("/proc/" + std::to_string(pid) + "/cmdline");
  return line.starts_with(kName) ? std::string(line.c_str() + kName.size()) : "";
}

// Of the nursery, and of one that died.
std::vector<pid_t> descendants_of(pid_t pid) {
  std::vector<pid_t> all = children_of(pid);
  for (const pid_t child : std::vector<pid_t>(all))
    for (const pid_t grandchild : children_of(child)) all.push_back(grandchild);
  return all;
}

}  // namespace

std::vector<pid_t> workers_of(pid_t pid) {
  std::map<unsigned long, pid_t> by_number;
  for (const pid_t process : descendants_of(pid))
    if (const std::string title = title_of(process); title.starts_with('F'))
      by_number[std::stoul(title.substr(1))] = process;
  std::vector<pid_t> workers;
  for (const auto& [number, worker] : by_number) workers.push_back(worker);
  return workers;
}

std::vector<pid_t> spares_of(pid_t pid) {
  std::vector<pid_t> spares = descendants_of(pid);
  std::erase_if(spares, [](pid_t process) { return title_of(process) != "spare"; });
  return spares;
}

pid_t nursery_of(pid_t pid) {
  for (const pid_t process : children_of(pid))
    if (title_of(process) == "nursery") return process;
  return 0;
}

std::string status_field(pid_t pid, const std::string& name) {
  const std::string status = "\n" + read_file("/proc/" + std::to_string(pid) + "/status");
  const size_t line = status.find("\n" + name + ":");
  if (line == std::string::npos) return "";
  const size_t start = status.find_first_not_of(" \t", line + name.size() + 2);
  return status.substr(start, status.find('\n', start) - start);
}

std::string memory_of(pid_t pid) {
  constexpr uint64_t kShadow = uint64_t{1} << 30;  // AddressSanitizer's
  const std::string proc = "/proc/" + std::to_string(pid);
  std::ifstream maps(proc + "/maps"), memory(proc + "/mem", std::ios::binary);
  std::string all, line;
  while (std::getline(maps, line)) {
    uint64_t start = 0, end = 0;
    char writable = '-';
    if (std::sscanf(line.c_str(), "%" SCNx64 "-%" SCNx64 " %*c%c", &start, &end, &writable) != 3) continue;
    if (writable != 'w' || end - start >= kShadow) continue;
    const size_t before = all.size();
    all.resize(before + (end - start));
    memory.clear();
    memory.seekg(static_cast<std::streamoff>(start));
    memory.read(all.data() + before, static_cast<std::streamsize>(end - start));
  }
  return all;
}

bool Daemon::wait_workers(size_t count, Deadline deadline) const {
  return wait_until([&] { return workers().size() == count; }, deadline);
}

std::optional<size_t> Daemon::open_descriptors() const {
  std::error_code error;
  size_t count = 0;
  for (std::filesystem::directory_iterator it("/proc/" + std::to_string(pid()) + "/fd", error), end;
       !error && it != end; it.increment(error))
    ++count;
  return error ? std::nullopt : std::optional(count);
}

}  // namespace vncauthproxy::testing
