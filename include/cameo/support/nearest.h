// "Did you mean": the known word that a mistyped one is closest to.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace cameo {

/// The candidate at the smallest edit distance (insert, delete, replace, swap neighbours) from `word`, if that is at
/// most a third of the longer length (at least 1), the first such in order; empty when none is that close.
std::string nearest(std::string_view word, std::span<const std::string_view> candidates);

/// `, did you mean 'x'?` or nothing: to append to a message.
std::string did_you_mean(std::string_view word, std::span<const std::string_view> candidates);

} // namespace cameo
