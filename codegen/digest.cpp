// SHA-256 with the CPU's own instructions where it has them (four times LLVM's portable code: weights are hundreds of
// megabytes), else with LLVM's.
#include "cameo/codegen/digest.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/SHA256.h"

#include <array>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace cameo::codegen {
namespace {

#if defined(__x86_64__)

bool has_sha_instructions() {
  unsigned a, b, c, d;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & bit_SHA)) return false;
  return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_SSSE3) && (c & bit_SSE4_1);
}

// FIPS 180-4, 4.2.2.
alignas(64) constexpr uint32_t kRound[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

// The state of the instructions: two registers, (a b e f) and (c d g h), high word first.
class HardwareSha256 {
public:
  void update(std::span<const std::byte> bytes) {
    const auto *data = reinterpret_cast<const uint8_t *>(bytes.data());
    size_t size = bytes.size();
    total_ += size;
    if (filled_) {
      const size_t n = std::min(size, sizeof block_ - filled_);
      std::memcpy(block_ + filled_, data, n);
      filled_ += n, data += n, size -= n;
      if (filled_ < sizeof block_) return;
      compress(block_, 1);
      filled_ = 0;
    }
    compress(data, size / 64);
    filled_ = size % 64;
    if (filled_) std::memcpy(block_, data + size / 64 * 64, filled_);
  }

  std::array<uint8_t, 32> final() {
    const uint64_t bits = total_ * 8;
    block_[filled_++] = 0x80;
    if (filled_ > 56) {
      std::memset(block_ + filled_, 0, 64 - filled_);
      compress(block_, 1);
      filled_ = 0;
    }
    std::memset(block_ + filled_, 0, 56 - filled_);
    for (int i = 0; i < 8; ++i) block_[56 + i] = uint8_t(bits >> (56 - 8 * i));
    compress(block_, 1);
    std::array<uint8_t, 32> out;
    for (int i = 0; i < 8; ++i)
      for (int k = 0; k < 4; ++k) out[size_t(4 * i + k)] = uint8_t(state_[i] >> (24 - 8 * k));
    return out;
  }

private:
  __attribute__((target("sha,sse4.1,ssse3"))) void compress(const uint8_t *data, size_t blocks) {
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    __m128i dcba = _mm_loadu_si128(reinterpret_cast<const __m128i *>(state_));
    __m128i hgfe = _mm_loadu_si128(reinterpret_cast<const __m128i *>(state_ + 4));
    __m128i cdab = _mm_shuffle_epi32(dcba, 0xb1), efgh = _mm_shuffle_epi32(hgfe, 0x1b);
    __m128i abef = _mm_alignr_epi8(cdab, efgh, 8), cdgh = _mm_blend_epi16(efgh, cdab, 0xf0);
    for (; blocks; --blocks, data += 64) {
      const __m128i abef_before = abef, cdgh_before = cdgh;
      __m128i w[4]; // the last 16 words of the message schedule, as a ring
      for (int i = 0; i < 4; ++i)
        w[i] = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i *>(data) + i), swap);
#pragma GCC unroll 16
      for (int i = 0; i < 16; ++i) { // four rounds each
        const __m128i sum = _mm_add_epi32(w[i % 4], _mm_load_si128(reinterpret_cast<const __m128i *>(kRound) + i));
        cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
        abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0e));
        if (i >= 12) continue;
        // W[t] = s1(W[t-2]) + W[t-7] + s0(W[t-15]) + W[t-16]
        const __m128i seventh = _mm_alignr_epi8(w[(i + 3) % 4], w[(i + 2) % 4], 4);
        w[i % 4] = _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(w[i % 4], w[(i + 1) % 4]), seventh),
                                        w[(i + 3) % 4]);
      }
      abef = _mm_add_epi32(abef, abef_before);
      cdgh = _mm_add_epi32(cdgh, cdgh_before);
    }
    const __m128i feba = _mm_shuffle_epi32(abef, 0x1b), dchg = _mm_shuffle_epi32(cdgh, 0xb1);
    _mm_storeu_si128(reinterpret_cast<__m128i *>(state_), _mm_blend_epi16(feba, dchg, 0xf0));
    _mm_storeu_si128(reinterpret_cast<__m128i *>(state_ + 4), _mm_alignr_epi8(dchg, feba, 8));
  }

  uint32_t state_[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  uint8_t block_[64] = {};
  size_t filled_ = 0;
  uint64_t total_ = 0;
};

#endif

} // namespace

std::string sha256_hex(const std::vector<std::span<const std::byte>> &pieces) {
#if defined(__x86_64__)
  if (has_sha_instructions()) {
    HardwareSha256 hash;
    for (std::span<const std::byte> piece : pieces) hash.update(piece);
    return llvm::toHex(hash.final(), /*LowerCase=*/true);
  }
#endif
  return portable_sha256_hex(pieces);
}

std::string portable_sha256_hex(const std::vector<std::span<const std::byte>> &pieces) {
  llvm::SHA256 hash;
  for (std::span<const std::byte> piece : pieces)
    hash.update(llvm::ArrayRef(reinterpret_cast<const uint8_t *>(piece.data()), piece.size()));
  return llvm::toHex(hash.final(), /*LowerCase=*/true);
}

std::string sha256_hex(std::span<const std::byte> bytes) { return sha256_hex(std::vector{bytes}); }

} // namespace cameo::codegen
