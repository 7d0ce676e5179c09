// Label encoders and maps of ai.onnx.ml.
//
// An encoder is a search for the key and a table of values: position = min over j of (x == keys[j] ? j : count), y =
// table[position], where the table ends with the default. So of equal keys the first counts. A value that is a string
// is an element of a constant table.
#include "classical.h"

#include <cmath>

namespace cameo::frontend {
namespace {

// A vector of any dtype; null when the node does not give it.
Constant vector_attribute(NodeImport &n, const std::string &prefix) {
  std::vector<Constant> given;
  if (n.has(prefix + "_floats")) {
    const std::vector<double> values = n.reals(prefix + "_floats");
    given.push_back(ConstantData::of_rounded(DType::f32, {int64_t(values.size())}, values));
  }
  if (n.has(prefix + "_int64s")) given.push_back(ConstantData::i64s(n.ints(prefix + "_int64s")));
  if (n.has(prefix + "_strings")) {
    const std::vector<std::string> values = n.texts(prefix + "_strings");
    given.push_back(ConstantData::strings({int64_t(values.size())}, values));
  }
  if (n.defines(prefix + "_tensor") && n.has(prefix + "_tensor"))
    if (Constant c = n.tensor(prefix + "_tensor")) given.push_back(c->with_dims({c->count()}));
  if (n.failed()) return nullptr;
  if (given.size() != 1) {
    n.fail("needs exactly one of " + prefix + "_floats, " + prefix + "_int64s, " + prefix + "_strings" +
           (n.defines(prefix + "_tensor") ? ", " + prefix + "_tensor" : ""));
    return nullptr;
  }
  return given[0];
}

// What an unknown key gives, as one element of this dtype. Null after a problem.
Constant default_of(NodeImport &n, DType dtype) {
  if (n.defines("default_tensor") && n.has("default_tensor")) {
    Constant c = n.tensor("default_tensor");
    if (n.failed() || !c) return nullptr;
    if (c->count() != 1 || c->dtype() != dtype) {
      n.fail("default_tensor is not one element of " + std::string(name(dtype)));
      return nullptr;
    }
    return c;
  }
  if (dtype == DType::string) return ConstantData::strings({1}, {n.text("default_string", "_Unused")});
  if (dtype == DType::i64) return ConstantData::scalar_int(dtype, n.integer("default_int64", -1));
  if (dtype == DType::f32) {
    const double value = n.real("default_float", -0.0);
    return ConstantData::of_rounded(dtype, {}, {&value, 1});
  }
  return is_float(dtype) ? ConstantData::scalar(dtype, 0)
                         : ConstantData::scalar_int(dtype, dtype == DType::i16 ? -1 : 0);
}

// The values with the default behind.
Constant with_default(const Constant &values, const Constant &otherwise) {
  const int64_t count = values->count();
  if (values->dtype() == DType::string) {
    std::vector<std::string> all = values->string_values();
    all.push_back(otherwise->string_values()[0]);
    return ConstantData::strings({count + 1}, std::move(all));
  }
  std::vector<std::byte> bytes(values->bytes().begin(), values->bytes().end());
  bytes.insert(bytes.end(), otherwise->bytes().begin(), otherwise->bytes().end());
  return ConstantData::own(values->dtype(), {count + 1}, std::move(bytes));
}

// keys[j] -> values[j], else the default.
Value *encode(NodeImport &n, const Constant &keys, const Constant &values, const Constant &otherwise) {
  Value *x = n.input(0);
  if (n.failed() || !keys || !values || !otherwise || !n.ranked(x)) return nullptr;
  const int64_t count = keys->count();
  if (values->count() != count)
    return n.fail(std::to_string(count) + " keys and " + std::to_string(values->count()) + " values");
  if (keys->dtype() != x->type().dtype())
    return n.fail("keys of " + std::string(name(keys->dtype())) + " for an input of " +
                  std::string(name(x->type().dtype())));
  if (bits(keys->dtype()) < 8 && keys->dtype() != DType::boolean && keys->dtype() != DType::string)
    return n.unsupported("keys of less than a byte");
  Value *table = n.constant(with_default(values, otherwise));
  if (count == 0) return n.broadcast(n.reshape(table, {}), x->type().shape());
  Shape shape = x->type().shape();
  shape.push_back(1);
  const auto last = int64_t(shape.size()) - 1;
  Value *element = n.reshape(x, std::move(shape));
  Value *hit = n.map(Fn::equal, {element, n.constant(keys)});
  if (is_float(keys->dtype()) && n.version() >= 4) { // NaN finds NaN
    std::vector<int64_t> is_nan;
    bool any = false;
    for (int64_t i = 0; i < count; ++i) any |= is_nan.emplace_back(std::isnan(keys->as_double(i))) != 0;
    if (any)
      hit = n.map(Fn::logical_or,
                  {hit, n.map(Fn::logical_and, {n.map(Fn::is_nan, {element}),
                                                n.constant(ConstantData::of_ints(DType::boolean, {count}, is_nan))})});
  }
  std::vector<int64_t> positions(static_cast<size_t>(count));
  for (size_t i = 0; i < positions.size(); ++i) positions[i] = int64_t(i);
  Value *position = n.map(Fn::select, {hit, n.ints_constant(positions), n.scalar_int(DType::i64, count)});
  return n.gather(table, n.reduce("min", position, {last}, false), 0);
}

Constant counting(int64_t count) {
  std::vector<int64_t> values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i) values[i] = int64_t(i);
  return ConstantData::i64s(values);
}

// Strings to integers or back, by the input's type.
Value *encode_between(NodeImport &n, const Constant &strings, const Constant &integers) {
  if (n.failed() || !n.input(0)) return nullptr;
  const bool forth = n.input(0)->type().dtype() == DType::string;
  if (forth) return encode(n, strings, integers, default_of(n, DType::i64));
  return encode(n, integers, strings, default_of(n, DType::string));
}

// The keys of a map: the attribute that the node gives.
Constant map_keys(NodeImport &n, const std::string &integers, const std::string &strings) {
  if (n.has(integers) == n.has(strings)) {
    n.fail("needs either " + integers + " or " + strings);
    return nullptr;
  }
  if (n.has(integers)) return ConstantData::i64s(n.ints(integers));
  const std::vector<std::string> values = n.texts(strings);
  return ConstantData::strings({int64_t(values.size())}, values);
}

} // namespace

void import_label_encoder(NodeImport &n) {
  if (n.version() < 2) { // positions in a list
    const std::vector<std::string> classes = n.texts("classes_strings");
    const auto count = int64_t(classes.size());
    return n.result(encode_between(n, ConstantData::strings({count}, classes), counting(count)));
  }
  const Constant keys = vector_attribute(n, "keys"), values = vector_attribute(n, "values");
  if (n.failed() || !keys || !values) return;
  n.result(encode(n, keys, values, default_of(n, values->dtype())));
}

void import_category_mapper(NodeImport &n) {
  const std::vector<std::string> strings = n.texts("cats_strings");
  const auto count = int64_t(strings.size());
  n.result(encode_between(n, ConstantData::strings({count}, strings), ConstantData::i64s(n.ints("cats_int64s"))));
}

// [rows, classes] to a sequence of maps; a vector is one row.
void import_zip_map(NodeImport &n) {
  Value *x = n.input(0);
  if (!n.ranked(x)) return;
  const Constant keys = map_keys(n, "classlabels_int64s", "classlabels_strings");
  const Shape &shape = x->type().shape();
  if (n.failed()) return;
  if (shape.size() < 1 || shape.size() > 2) return void(n.fail("an input of rank " + std::to_string(shape.size())));
  if (shape.back().is_constant() && !shape.back().is(keys->count()))
    return void(n.fail(std::to_string(keys->count()) + " class labels for " + shape.back().str() + " columns"));
  if (shape.size() == 1) x = n.reshape(x, {1, shape[0]});
  n.result(n.make(Op::zip_map, {x}, {{"keys", keys}}));
}

void import_dict_vectorizer(NodeImport &n) {
  const Constant keys = map_keys(n, "int64_vocabulary", "string_vocabulary");
  if (n.failed() || !n.input(0)) return;
  const Type &type = n.input(0)->type();
  if (!type.is_map() || type.dtype() != keys->dtype())
    return void(n.fail("the vocabulary has another type than the keys of the map"));
  n.result(n.make(Op::dict_vectorize, {n.input(0)}, {{"keys", keys}}));
}

void import_cast_map(NodeImport &n) {
  const std::string to = n.word("cast_to", {"TO_FLOAT", "TO_STRING", "TO_INT64"});
  const std::string form = n.word("map_form", {"DENSE", "SPARSE"});
  Attributes attributes = {{"form", std::string(form == "DENSE" ? "dense" : "sparse")}};
  if (form == "SPARSE") {
    const int64_t length = n.integer("max_map");
    if (length < 1) return void(n.fail("max_map is " + std::to_string(length)));
    attributes.emplace_back("length", length);
  }
  const DType dtype = to == "TO_FLOAT" ? DType::f32 : to == "TO_STRING" ? DType::string : DType::i64;
  n.result(n.make(Op::map_cast, {n.input(0)}, std::move(attributes), dtype));
}

} // namespace cameo::frontend
