// Private to codegen/: several relocatable ELF files become one.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace cameo::codegen {

struct MergeInput {
  std::string_view bytes; ///< a relocatable ELF64 file that LLVM wrote
  std::string scope;      ///< its global symbols are known to other scopes as scope.name; empty: as name
};

enum class WeightsSection : uint8_t {
  none,
  follows, ///< the caller appends the weights' bytes to the result
  nobits,  ///< address space only: for a link whose output gets the bytes
};

struct MergeSpec {
  std::vector<MergeInput> inputs;
  std::string file_name;                      ///< the object's STT_FILE symbol
  std::map<std::string, std::string> renames; ///< of global symbols, unscoped: from the inputs' name to the result's
  std::set<std::string> exports;              ///< stay global; all else that is defined becomes local
  bool hidden = false;                        ///< exports are for the link that takes the object, not for beyond it
  std::set<std::string> externals;            ///< may stay undefined
  WeightsSection weights = WeightsSection::none;
  int64_t weights_size = 0;
};

/// The symbol under which inputs refer to the weights.
inline constexpr const char *kWeightsSymbol = "cameo_weights";
/// The section that holds them.
inline constexpr const char *kWeightsSectionName = ".lrodata.cameo_weights";
inline constexpr int64_t kWeightsAlign = 4096;

/// One relocatable file with the sections of all inputs. A name that an input does not define is looked for in its own
/// scope, then everywhere; one that nobody defines must be in `externals`, which is the point where a call of a library
/// function that must not be called is found. Our faults, CAMEO_CHECKed: such a name, two definitions of one, a kind of
/// section or symbol that LLVM does not write for us.
std::string merge_objects(const MergeSpec &spec);

} // namespace cameo::codegen
