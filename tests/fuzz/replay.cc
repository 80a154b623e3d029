// SPDX-License-Identifier: GPL-2.0-or-later
// Runs a fuzz entry over the files of folders, so that `make check` replays every corpus with any compiler.
// Without an argument the program fuzz_NAME replays tests/fuzz/corpus/NAME.
// Each input is replayed at all its shorter lengths as well: what a fuzzer once found often hides in a cut.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

constexpr size_t kCutInputs = 4096;  // longer ones are replayed whole only

void replay(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> read((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  for (size_t size = read.size() > kCutInputs ? read.size() : 0; size <= read.size(); ++size) {
    // A copy of just this size, for a sanitizer to see any byte read behind it.
    const std::vector<uint8_t> input(read.begin(), read.begin() + static_cast<std::ptrdiff_t>(size));
    LLVMFuzzerTestOneInput(input.data(), input.size());
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> folders(argv + 1, argv + argc);
  const std::string name = std::filesystem::path(argv[0]).filename();
  if (folders.empty()) folders.push_back("tests/fuzz/corpus/" + name.substr(name.find('_') + 1));

  size_t replayed = 0;
  for (const std::string& folder : folders) {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      std::printf("%s\n", entry.path().c_str());
      std::fflush(stdout);  // the last line names the culprit
      replay(entry.path());
      ++replayed;
    }
  }
  std::printf("%zu inputs replayed\n", replayed);
  return replayed == 0;
}
