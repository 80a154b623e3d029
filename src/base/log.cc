// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/base/log.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <iterator>
#include <utility>

#include "vncauthproxy/base/fd.h"

namespace vncauthproxy::base {
namespace {

constexpr char kProgram[] = "vncauthproxy";
constexpr char kSystemLogger[] = "/dev/log";
constexpr size_t kMaxText = 3072;
// A line must fit into a pipe that poll() calls writable: only then does a write to stderr never wait.
constexpr size_t kMaxLine = 4096;

enum class Kind { syslog, file, standard_error };

struct Log {
  Kind kind = Kind::standard_error;
  LogLevel threshold = LogLevel::info;
  std::string path;  // of the file
  std::string syslog_path = kSystemLogger;
  std::string prefix;  // of each line
  Fd file, syslog;
  std::function<void(LogLevel, std::string_view)> sink;
};

// Never destroyed: a line may be written while the program ends.
Log& the_log() {
  static Log& log = *new Log;
  return log;
}

const char* name_of(LogLevel level) {
  constexpr const char* kNames[] = {"ERROR", "WARNING", "INFO", "DEBUG"};
  return kNames[static_cast<size_t>(level)];
}

int priority_of(LogLevel level) {
  constexpr int kPriorities[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};
  return LOG_DAEMON | kPriorities[static_cast<size_t>(level)];
}

// ---- opening

Error is_link(const std::string& path) {
  return {ErrorCode::denied, path + " is a symbolic link; name the log file itself (or - for stderr)"};
}

Result<Fd> open_file(const std::string& path) {
  // O_NONBLOCK: neither opening a FIFO nor writing to it may wait.
  Fd file(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
                 0640));
  if (file) return file;
  if (errno == ELOOP) return is_link(path);
  return system_error(errno, {"cannot open the log ", path});
}

// The C library's syslog() waits when the system logger is stuck, and reconnects when it likes; this does
// not.
Fd connect_syslog(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return Fd();
  std::memcpy(address.sun_path, path.data(), path.size());
  Fd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (fd && ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fd.reset();
  return fd;
}

// ---- writing

// Worked out once for all lines of a second.
const std::tm& local_time() {
  static std::time_t last = -1;
  static std::tm local{};
  const std::time_t now = std::time(nullptr);
  if (std::exchange(last, now) != now) ::localtime_r(&now, &local);
  return local;
}

// A line in front of its text: no copy of that is made to put the two together.
struct Prefix {
  std::array<char, 128> room;
  size_t size = 0;
};

[[gnu::format(printf, 1, 2)]] Prefix make_prefix(const char* format, ...) {
  Prefix prefix;
  std::va_list arguments;
  va_start(arguments, format);
  const int size = std::vsnprintf(prefix.room.data(), prefix.room.size(), format, arguments);
  va_end(arguments);
  if (size > 0) prefix.size = std::min(static_cast<size_t>(size), prefix.room.size() - 1);
  return prefix;
}

iovec piece(std::string_view text) {
  return {const_cast<char*>(text.data()), text.size()};
}

// A system logger that was started again has a new socket: one more try.
void write_syslog(Log& log, LogLevel level, std::string_view text) {
  char when[32] = "";
  std::strftime(when, sizeof when, "%b %e %H:%M:%S", &local_time());
  const Prefix prefix =
      make_prefix("<%d>%s %s[%d]: ", priority_of(level), when, kProgram, static_cast<int>(::getpid()));
  iovec pieces[] = {piece({prefix.room.data(), prefix.size}), piece(text)};
  msghdr message{};
  message.msg_iov = pieces;
  message.msg_iovlen = std::size(pieces);
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (!log.syslog) log.syslog = connect_syslog(log.syslog_path);
    if (!log.syslog) return;
    if (::sendmsg(log.syslog.get(), &message, MSG_NOSIGNAL) >= 0) return;
    if (errno == EAGAIN || errno == ENOBUFS || errno == EINTR) return;  // it is there and has no room
    log.syslog.reset();
  }
}

void write_stream(int fd, LogLevel level, std::string_view text) {
  char when[32] = "";
  std::strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &local_time());
  const Prefix prefix =
      make_prefix("%s %s[%d]  %s: ", when, kProgram, static_cast<int>(::getpid()), name_of(level));
  static_assert(std::tuple_size_v<decltype(prefix.room)> + kMaxText + 1 <= kMaxLine);
  const iovec pieces[] = {piece({prefix.room.data(), prefix.size}), piece(text), piece("\n")};
  pollfd ready{fd, POLLOUT, 0};
  if (::poll(&ready, 1, 0) <= 0) return;
  // A full disk, a closed terminal: there is nobody left to tell.
  if (::writev(fd, pieces, std::size(pieces)) < 0) return;
}

// Text on its way into the log: at most kMaxText bytes, and one more that shows there were too many.
using Text = std::array<char, kMaxText + 2>;

// Begins a line. The rest goes behind what this returns.
size_t put_prefix(Text& text) {
  return the_log().prefix.copy(text.data(), kMaxText);
}

// Makes it one line. Returns the part used.
std::string_view one_line(Text& text, size_t size) {
  const bool cut = size > kMaxText;
  size = std::min(size, kMaxText);
  std::transform(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(size), text.begin(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f ? ' ' : c;
  });
  if (cut) {
    size -= 3;
    while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) --size;
    std::memcpy(text.data() + size, "...", 3);
    size += 3;
  }
  return {text.data(), size};
}

void log_text(LogLevel level, Text& text, size_t size) {
  const int saved_errno = errno;
  Log& log = the_log();
  const std::string_view line = one_line(text, size);
  if (log.sink)
    log.sink(level, line);
  else if (log.kind == Kind::syslog)
    write_syslog(log, level, line);
  else
    write_stream(log.kind == Kind::file ? log.file.get() : STDERR_FILENO, level, line);
  errno = saved_errno;
}

[[gnu::format(printf, 2, 0)]] void log_formatted(LogLevel level, const char* format, std::va_list arguments) {
  if (!log_enabled(level)) return;
  Text text;
  const size_t start = put_prefix(text);
  const int size = std::vsnprintf(text.data() + start, text.size() - start, format, arguments);
  if (size >= 0) log_text(level, text, std::min(start + static_cast<size_t>(size), text.size() - 1));
}

// ---- escaping

struct Range {
  uint32_t first, last;
};
// Valid characters that show nothing, or change how others are shown.
constexpr Range kInvisible[] = {
    {0x0000, 0x001f},   {0x007f, 0x009f},   {0x00ad, 0x00ad},   {0x034f, 0x034f},    {0x061c, 0x061c},
    {0x115f, 0x1160},   {0x17b4, 0x17b5},   {0x180b, 0x180f},   {0x200b, 0x200f},    {0x2028, 0x202e},
    {0x2060, 0x206f},   {0x3164, 0x3164},   {0xe000, 0xf8ff},   {0xfdd0, 0xfdef},    {0xfe00, 0xfe0f},
    {0xfeff, 0xfeff},   {0xffa0, 0xffa0},   {0xfff0, 0xfffb},   {0xfffe, 0xffff},    {0x13430, 0x1345f},
    {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff}, {0xf0000, 0x10ffff},
};

bool is_visible(uint32_t character) {
  return std::none_of(std::begin(kInvisible), std::end(kInvisible),
                      [=](Range range) { return range.first <= character && character <= range.last; });
}

// The bytes of the visible character that `text` begins with; 0 when it begins with anything else.
size_t visible_character(std::string_view text) {
  const auto at = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = at(0);
  if (lead < 0x80) return is_visible(lead) ? 1 : 0;
  const size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < size) return 0;
  uint32_t character = lead & (0x7fu >> size);
  for (size_t i = 1; i < size; ++i) {
    if ((at(i) & 0xc0) != 0x80) return 0;
    character = character << 6 | (at(i) & 0x3fu);
  }
  constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = character >= 0xd800 && character <= 0xdfff;
  const bool valid = character >= kSmallest[size] && character <= 0x10ffff && !surrogate;
  return valid && is_visible(character) ? size : 0;
}

// What one character or one unfit byte at the start of `text` is printed as; `used`: how much of it was
// taken.
std::string_view printed(std::string_view text, std::array<char, 8>& room, size_t& used) {
  used = 1;
  switch (text[0]) {
    case '\n':
      return "\\n";
    case '\t':
      return "\\t";
    case '\\':
      return "\\\\";
    case '"':
      return "\\\"";
    default:
      break;
  }
  if (const size_t size = visible_character(text)) {
    used = size;
    return text.substr(0, size);
  }
  const int size = std::snprintf(room.data(), room.size(), "\\x%02x", static_cast<unsigned char>(text[0]));
  return {room.data(), static_cast<size_t>(size)};
}

}  // namespace

Result<void> open_log(const std::string& target, LogLevel threshold) {
  Log& log = the_log();
  const bool is_syslog = target.empty() || target.starts_with(kSyslogPrefix);
  Fd file;
  if (!is_syslog && target != "-") {
    Result<Fd> opened = open_file(target);
    if (!opened) return opened.error();
    file = *std::move(opened);
  }
  log.kind = is_syslog ? Kind::syslog : target == "-" ? Kind::standard_error : Kind::file;
  log.path = target;
  log.file = std::move(file);
  log.threshold = threshold;
  log.syslog_path = is_syslog && !target.empty() ? target.substr(kSyslogPrefix.size()) : kSystemLogger;
  log.syslog = log.kind == Kind::syslog ? connect_syslog(log.syslog_path) : Fd();
  log.sink = nullptr;
  return {};
}

Result<void> reopen_log() {
  Log& log = the_log();
  if (log.kind == Kind::syslog) log.syslog = connect_syslog(log.syslog_path);
  if (log.kind != Kind::file) return {};
  Result<Fd> opened = open_file(log.path);
  if (!opened) return opened.error();
  log.file = *std::move(opened);
  return {};
}

Result<void> check_log(const std::string& target) {
  if (target.empty() || target == "-" || target.starts_with(kSyslogPrefix)) return {};
  const auto denied = [&target] { return system_error(errno, {"cannot open the log ", target}); };
  struct stat status;
  if (::lstat(target.c_str(), &status) != 0) {
    const size_t slash = target.rfind('/');
    const std::string folder = slash == target.npos ? "." : target.substr(0, slash + 1);
    return ::faccessat(AT_FDCWD, folder.c_str(), W_OK | X_OK, AT_EACCESS) == 0 ? Result<void>() : denied();
  }
  if (S_ISLNK(status.st_mode)) return is_link(target);
  // A FIFO without a reader cannot be opened for writing, and nothing of it is kept.
  const Fd file(::open(target.c_str(), O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  return file ? Result<void>() : denied();
}

bool log_goes_to_stderr() {
  const Log& log = the_log();
  return !log.sink && log.kind == Kind::standard_error;
}

bool log_lacks_logger() {
  const Log& log = the_log();
  return !log.sink && log.kind == Kind::syslog && !log.syslog;
}

Result<void> give_log_to(uid_t uid, gid_t gid) {
  const Log& log = the_log();
  if (log.kind != Kind::file) return {};
  struct stat status;
  if (::fstat(log.file.get(), &status) != 0) return system_error(errno, {"fstat of the log"});
  // A device stays whose it is; a second name of the file may be a trap set for root.
  if (!S_ISREG(status.st_mode) || status.st_nlink != 1) return {};
  if (::fchown(log.file.get(), uid, gid) != 0) return system_error(errno, {"cannot give away ", log.path});
  return {};
}

void set_log_sink(std::function<void(LogLevel, std::string_view)> sink) {
  the_log().sink = std::move(sink);
}

void set_log_prefix(std::string prefix) {
  the_log().prefix = std::move(prefix);
}

int log_descriptor() {
  const Log& log = the_log();
  return log.kind == Kind::syslog ? log.syslog.get() : log.kind == Kind::file ? log.file.get() : -1;
}

bool log_enabled(LogLevel level) {
  return level <= the_log().threshold;
}

void log_line(LogLevel level, std::string_view text) {
  if (!log_enabled(level)) return;
  Text room;
  const size_t start = put_prefix(room);
  log_text(level, room, start + text.copy(room.data() + start, room.size() - 1 - start));
}

void log_error(const char* format, ...) {
  std::va_list arguments;
  va_start(arguments, format);
  log_formatted(LogLevel::error, format, arguments);
  va_end(arguments);
}
void log_warning(const char* format, ...) {
  std::va_list arguments;
  va_start(arguments, format);
  log_formatted(LogLevel::warning, format, arguments);
  va_end(arguments);
}
void log_info(const char* format, ...) {
  std::va_list arguments;
  va_start(arguments, format);
  log_formatted(LogLevel::info, format, arguments);
  va_end(arguments);
}
void log_debug(const char* format, ...) {
  std::va_list arguments;
  va_start(arguments, format);
  log_formatted(LogLevel::debug, format, arguments);
  va_end(arguments);
}

std::string escape(std::string_view foreign, size_t max_bytes) {
  std::string safe;
  const size_t dots = std::min<size_t>(3, max_bytes);
  size_t cut_here = 0;  // the longest whole prefix that leaves room for the dots
  while (!foreign.empty()) {
    std::array<char, 8> room;
    size_t used = 0;
    const std::string_view next = printed(foreign, room, used);
    if (next.size() > max_bytes - safe.size()) return safe.substr(0, cut_here).append(dots, '.');
    safe += next;
    if (safe.size() <= max_bytes - dots) cut_here = safe.size();
    foreign.remove_prefix(used);
  }
  return safe;
}

RepeatFilter::Verdict RepeatFilter::admit(std::string_view source, Clock::time_point now) {
  if (sources_.size() >= kMaxSources) {
    std::erase_if(sources_, [&](const Source& known) { return now - known.since >= period_; });
    if (sources_.size() >= kMaxSources) sources_.clear();  // bounded memory comes before a quiet log
  }
  auto known = std::find_if(sources_.begin(), sources_.end(),
                            [source](const Source& each) { return each.name == source; });
  if (known == sources_.end()) known = sources_.insert(known, {std::string(source), now, 0});
  unsigned held_back = 0;
  if (now - known->since >= period_) {
    held_back = known->seen > lines_ ? known->seen - lines_ : 0;
    known->since = now;
    known->seen = 0;
  }
  ++known->seen;
  return {known->seen <= lines_, held_back};
}

}  // namespace vncauthproxy::base
