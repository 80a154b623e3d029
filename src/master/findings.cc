// SPDX-License-Identifier: GPL-2.0-or-later
#include "master/findings.h"

#include "vncauthproxy/base/log.h"

namespace vncauthproxy::master {
namespace {

base::LogLevel level_of(Severity severity) {
  switch (severity) {
    case Severity::fatal:
    case Severity::error:
      return base::LogLevel::error;
    case Severity::warning:
      return base::LogLevel::warning;
    case Severity::note:
      break;
  }
  return base::LogLevel::info;
}

}  // namespace

void log_findings(const Findings& findings) {
  for (const Finding& finding : findings.all()) base::log_line(level_of(finding.severity), finding.text);
}

}  // namespace vncauthproxy::master
