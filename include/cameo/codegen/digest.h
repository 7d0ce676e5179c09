// SHA-256 (FIPS 180-4) of files and weights, for provenance.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace cameo::codegen {

/// 64 lower-case hexadecimal digits.
std::string sha256_hex(std::span<const std::byte> bytes);
/// Of the pieces, one after the other.
std::string sha256_hex(const std::vector<std::span<const std::byte>> &pieces);
/// The same without the CPU's SHA instructions.
std::string portable_sha256_hex(const std::vector<std::span<const std::byte>> &pieces);

} // namespace cameo::codegen
