// Private to codegen/: what the parts of the artefact know of each other.
#pragma once

#include "cameo/codegen/artefact.h"

namespace cameo::codegen {

/// Whether every dim is fixed, so that the artefact has a typed call.
bool has_typed_call(const ArtefactSpec &spec);

/// Whether it can be without a context: who has strings of outputs keeps their text.
bool has_stateless_call(const ArtefactSpec &spec);

/// A C parameter name for each input, then each output: distinct, usable in C and C++.
std::vector<std::string> parameter_names(const ArtefactSpec &spec);

/// The dims of all outputs, counted.
struct OutputDims {
  int64_t all = 0;
  int64_t at_run = 0;         ///< only a run can tell
  int64_t at_run_outputs = 0; ///< outputs that have one of those
  bool computed = false;      ///< some follow from symbols without being one
};
OutputDims count_output_dims(const ArtefactSpec &spec);

/// Bytes of a port whose dims are all fixed, else -1.
int64_t fixed_bytes(const PortSpec &port);

/// The dim as the header, the description and the manifest show it.
std::string dim_text(const ArtefactSpec &spec, const DimSpec &dim);

/// The CPU features that a variant needs, as the runtime checks them.
uint64_t variant_features(const VariantSpec &variant);

/// The manifest as JSON on one line, without a newline.
std::string manifest_json(const ArtefactSpec &spec);
inline constexpr const char *kManifestSection = ".note.cameo";
inline constexpr std::string_view kManifestOwner = "Cameo";

/// The object file that describes the model: `cameo_program` for the runtime, and the typed calls. It refers to each
/// variant's functions as <variant_scope>.run and so on, to the weights as kWeightsSymbol and to the runtime's
/// functions as cameo_stub_*.
std::string compile_stub(const ArtefactSpec &spec, const std::string &manifest);
/// The runtime's objects for the variants' architecture.
std::vector<std::string_view> runtime_objects(const ArtefactSpec &spec);
/// cameo_stub_create, ... to the exported names.
std::map<std::string, std::string> runtime_renames(const ArtefactSpec &spec);
std::string variant_scope(const ArtefactSpec &spec, size_t variant);

/// An ar archive with one member that defines `symbols`, in two parts: before and after the member's bytes.
std::pair<std::string, std::string> archive_around(const std::string &member_name, int64_t member_size,
                                                   const std::vector<std::string> &symbols);

} // namespace cameo::codegen
