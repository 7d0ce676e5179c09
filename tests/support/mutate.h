// Texts and files that are a little wrong: deterministic mutations of a valid one, for readers of what users give.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace cameo::testing {

/// One to four changes of `text`: bytes, ranges and numbers are replaced, removed, doubled or moved. The same for the
/// same seed.
inline std::string mutated(std::string text, uint64_t seed) {
  auto random = [&](size_t below) { // splitmix64
    uint64_t z = seed += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return below == 0 ? size_t{0} : static_cast<size_t>((z ^ z >> 31) % below);
  };
  static const std::array<std::string, 16> numbers = {"0",
                                                      "-1",
                                                      "1",
                                                      "2",
                                                      "63",
                                                      "64",
                                                      "65536",
                                                      "2147483647",
                                                      "2147483648",
                                                      "4294967296",
                                                      "9223372036854775807",
                                                      "-9223372036854775808",
                                                      "18446744073709551616",
                                                      "1e400",
                                                      "nan",
                                                      "-0.0"};
  auto digit = [&](size_t i) { return i < text.size() && text[i] >= '0' && text[i] <= '9'; };
  for (size_t changes = 1 + random(4); changes > 0 && !text.empty(); --changes) {
    const size_t at = random(text.size()), length = std::min(text.size() - at, 1 + random(random(4) == 0 ? 200 : 8));
    switch (random(6)) {
    case 0: // a number
      for (size_t i = at; i < text.size(); ++i)
        if (digit(i)) {
          size_t end = i;
          while (digit(end)) ++end;
          text.replace(i, end - i, numbers[random(numbers.size())]);
          break;
        }
      break;
    case 1:
      text[at] = static_cast<char>(random(256));
      break;
    case 2:
      text[at] = static_cast<char>(text[at] ^ static_cast<char>(1 << random(8)));
      break;
    case 3:
      text.erase(at, length);
      break;
    case 4: {
      const std::string piece = text.substr(at, length);
      text.insert(random(text.size() + 1), piece);
      break;
    }
    default: {
      const std::string piece = text.substr(at, length);
      text.erase(at, length);
      text.insert(random(text.size() + 1), piece);
      break;
    }
    }
  }
  return text;
}

} // namespace cameo::testing
