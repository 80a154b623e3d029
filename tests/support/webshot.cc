// SPDX-License-Identifier: GPL-2.0-or-later
// noVNC in a headless Chromium that saves what it shows, for `make demo`:
//   webshot URL FILE.png                   opens the page with $VNC_PASSWORD, waits for the server's picture
//   webshot --certificate CERT KEY         writes a self-signed certificate and its key
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "tests/support/browser.h"
#include "tests/support/certificate.h"

namespace vncauthproxy::testing {
namespace {

std::string percent_encoded(std::string_view text) {
  std::string result;
  for (const char c : text) {
    char escaped[4];
    std::snprintf(escaped, sizeof escaped, "%%%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
    result += escaped;
  }
  return result;
}

bool take_picture(Browser& browser, const std::string& url, const std::string& file) {
  const Deadline deadline(kBrowserPatience);
  if (!browser.open(url, deadline)) {
    std::fprintf(stderr, "webshot: the browser did not open the page: %s\n", browser.complaints().c_str());
    return false;
  }
  if (!browser.wait_for_picture(deadline)) {
    std::fprintf(stderr, "webshot: no picture came; the page says: %s\n", browser.novnc_words().c_str());
    return false;
  }
  std::printf("the page says: %s\n", browser.novnc_words().c_str());
  const std::string png = browser.screenshot(deadline);
  if (png.empty() || !write_file(file, png, 0644)) {
    std::fprintf(stderr, "webshot: no picture for %s\n", file.c_str());
    return false;
  }
  return true;
}

int write_certificate(const char* certificate, const char* key_file) {
  const auto key = make_ec_key();
  const bool written = write_file(certificate, certificate_pem(key.get(), 86400L * 100), 0644) &&
                       write_file(key_file, key_pem(key.get()), 0600);
  return written ? 0 : 1;
}

}  // namespace
}  // namespace vncauthproxy::testing

int main(int argc, char** argv) {
  using namespace vncauthproxy::testing;
  if (argc == 4 && std::strcmp(argv[1], "--certificate") == 0) return write_certificate(argv[2], argv[3]);
  const char* password = std::getenv("VNC_PASSWORD");
  if (argc != 3 || !password) {
    std::fprintf(stderr, "usage: VNC_PASSWORD=... webshot URL FILE.png | webshot --certificate CERT KEY\n");
    return 2;
  }
  if (Browser::program().empty()) {
    std::fprintf(stderr, "webshot: Chromium is not installed\n");
    return 1;
  }
  Browser browser;
  const bool taken =
      take_picture(browser, std::string(argv[1]) + "&password=" + percent_encoded(password), argv[2]);
  return browser.close() && taken ? 0 : 1;
}
