// case_forms constants|symbols OUT CASE...: the cases in another form, each as a folder of OUT.
//
//   constants  all inputs but the first become initializers, with the values of the first data set: what can be folded
//              is folded, what has a packed form is packed
//   symbols    every extent of an input becomes a symbol, the same one for the same extent
//
// Both forms have the first data set's expected outputs, under the case's name `<folder>_<case>`. Cases that cannot
// take the form (no second input, no extent, inputs that are no tensors) are left out. Exit code 1 when a file cannot
// be read or written.
#include <onnx/onnx_pb.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <set>

namespace {

namespace fs = std::filesystem;

template <class Message> Message read(const fs::path &path) {
  Message message;
  std::ifstream file(path, std::ios::binary);
  if (!file || !message.ParseFromIstream(&file)) throw std::runtime_error("cannot read " + path.string());
  return message;
}

// The inputs that a caller gives: those without an initializer.
std::vector<onnx::ValueInfoProto *> given_inputs(onnx::GraphProto &graph) {
  std::set<std::string> initialized;
  for (const onnx::TensorProto &tensor : graph.initializer()) initialized.insert(tensor.name());
  std::vector<onnx::ValueInfoProto *> given;
  for (onnx::ValueInfoProto &input : *graph.mutable_input())
    if (!initialized.contains(input.name())) given.push_back(&input);
  return given;
}

bool make_constants(onnx::ModelProto &model, const fs::path &set) {
  onnx::GraphProto &graph = *model.mutable_graph();
  std::set<std::string> made;
  const auto given = given_inputs(graph);
  for (size_t i = 1; i < given.size(); ++i) {
    auto tensor = read<onnx::TensorProto>(set / ("input_" + std::to_string(i) + ".pb"));
    tensor.set_name(given[i]->name());
    made.insert(given[i]->name());
    *graph.add_initializer() = std::move(tensor);
  }
  for (int i = graph.input_size() - 1; i >= 0; --i)
    if (made.contains(graph.input(i).name())) graph.mutable_input()->DeleteSubrange(i, 1);
  model.set_ir_version(std::max<int64_t>(model.ir_version(), 4)); // before, an initializer had to be an input as well
  return !made.empty();
}

bool make_symbols(onnx::ModelProto &model) {
  onnx::GraphProto &graph = *model.mutable_graph();
  bool any = false;
  for (onnx::ValueInfoProto *input : given_inputs(graph))
    for (auto &dim : *input->mutable_type()->mutable_tensor_type()->mutable_shape()->mutable_dim())
      if (dim.has_dim_value()) {
        dim.set_dim_param("extent_" + std::to_string(dim.dim_value()));
        any = true;
      }
  graph.clear_value_info();
  for (onnx::ValueInfoProto &output : *graph.mutable_output()) { // what the model said is true of the old extents only
    auto &dims = *output.mutable_type()->mutable_tensor_type()->mutable_shape()->mutable_dim();
    for (int axis = 0; axis < dims.size(); ++axis) dims[axis].set_dim_param(output.name() + "_" + std::to_string(axis));
  }
  return any;
}

bool only_tensors(onnx::GraphProto &graph) {
  for (const onnx::ValueInfoProto *input : given_inputs(graph))
    if (!input->type().has_tensor_type()) return false;
  for (const onnx::ValueInfoProto &output : graph.output())
    if (!output.type().has_tensor_type()) return false;
  return true;
}

void convert(const std::string &form, const fs::path &out, const fs::path &from) {
  auto model = read<onnx::ModelProto>(from / "model.onnx");
  const fs::path set = fs::absolute(from) / "test_data_set_0";
  if (!only_tensors(*model.mutable_graph())) return;
  if (!(form == "constants" ? make_constants(model, set) : make_symbols(model))) return;

  const fs::path to = out / (from.parent_path().filename().string() + "_" + from.filename().string());
  fs::create_directories(to / "test_data_set_0");
  for (const fs::directory_entry &file : fs::directory_iterator(set)) {
    const std::string name = file.path().filename();
    if (form == "constants" && name.starts_with("input_") && name != "input_0.pb") continue;
    fs::create_symlink(file.path(), to / "test_data_set_0" / name);
  }
  std::ofstream file(to / "model.onnx", std::ios::binary);
  if (!model.SerializeToOstream(&file) || !file.flush()) throw std::runtime_error("cannot write " + to.string());
}

} // namespace

int main(int argc, char **argv) {
  const std::string form = argc > 1 ? argv[1] : "";
  if (argc < 3 || (form != "constants" && form != "symbols")) {
    std::cerr << "usage: case_forms constants|symbols OUT CASE...\n";
    return 2;
  }
  try {
    for (int i = 3; i < argc; ++i) convert(form, argv[2], argv[i]);
  } catch (const std::exception &error) {
    std::cerr << "case_forms: " << error.what() << "\n";
    return 1;
  }
}
