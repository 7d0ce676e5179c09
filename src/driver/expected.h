// What the data sets of a case expect of the outputs, in the form that a compiled library gives them.
#pragma once

#include "cameo/codegen/artefact.h"
#include "cameo/support/result.h"
#include "cameo/support/tensor.h"

#include <filesystem>
#include <map>

namespace cameo::driver {

/// The files of a data set by output: output_K.pb, or output_K_seqmap.json, a list of objects for a sequence of maps.
std::map<int64_t, std::filesystem::path> expected_files(const std::filesystem::path &set);

/// The file's tensor. Where the output's labels are columns, the file holds maps: their values become a tensor [maps,
/// labels] in the order of the labels. Errors: 65 for a file that is none of that, and maps with other keys.
Result<Tensor> read_expected(const std::filesystem::path &path, const codegen::LabelSpec &labels);

/// The strings that an output of positions means; any other tensor as it is. Errors: 65 for a position that is none.
Result<Tensor> as_expected(Tensor output, const codegen::LabelSpec &labels, const std::string &where);

} // namespace cameo::driver
