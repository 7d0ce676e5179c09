// Runs Loop IR in this process: compiled to an object file in memory, then loaded. For tests, for constant folding and
// for measurements; products get object files.
#pragma once

#include "cameo/codegen/codegen.h"

#include <map>
#include <memory>

namespace cameo::codegen {

/// Loaded code. The functions live as long as this object.
class Jit {
public:
  /// Compiles `module` for `target`, which this machine must be able to run (else a Diagnostic: unsupported).
  /// `externals` gives the addresses of the module's declarations.
  static Result<Jit> create(const loop::Module &module, const loop::Target &target, const Options &options = {},
                            const std::map<std::string, void *> &externals = {});
  /// The address of an exported function, or nullptr.
  void *symbol(std::string_view name) const;
  /// symbol() as a function; CAMEO_CHECKs that it exists: jit.function<void(cameo_env *, const float *, float *)>("f").
  template <class Signature> Signature *function(std::string_view name) const {
    void *address = symbol(name);
    CAMEO_CHECK(address != nullptr, "no exported function '" + std::string(name) + "'");
    return reinterpret_cast<Signature *>(address);
  }

  Jit(Jit &&) noexcept;
  Jit &operator=(Jit &&) noexcept;
  ~Jit();

private:
  struct State;
  explicit Jit(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

} // namespace cameo::codegen
