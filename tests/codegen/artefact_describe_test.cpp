// What an artefact says of itself: the description, the header, the manifest; and reading manifests of hostile files.
#include "artefact_models.h"

#include "cameo/codegen/digest.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <set>

namespace cameo::codegen {
namespace {

TEST(ArtefactDescribe, EveryFieldThroughTheCHeader) {
  Library library(rows_spec());
  const CameoModel &m = library.model();
  EXPECT_EQ(m.struct_size, sizeof(CameoModel));
  EXPECT_EQ(m.abi_version, CAMEO_ABI_VERSION);
  ASSERT_EQ(m.input_count, 2);
  ASSERT_EQ(m.output_count, 2);
  ASSERT_EQ(m.symbol_count, 1);
  ASSERT_EQ(m.variant_count, 1);
  EXPECT_EQ(m.reserved, 0);
  EXPECT_STREQ(m.name, "test.onnx");
  EXPECT_STREQ(m.prefix, "rows");
  EXPECT_STREQ(m.inputs[0].name, "x");
  EXPECT_EQ(m.inputs[0].dtype, CAMEO_F32);
  ASSERT_EQ(m.inputs[0].rank, 2);
  EXPECT_EQ(m.inputs[0].bytes, -1);
  EXPECT_EQ(m.inputs[0].dims[0].extent, -1);
  EXPECT_EQ(m.inputs[0].dims[0].symbol, 0);
  EXPECT_STREQ(m.inputs[0].dims[0].text, "n");
  EXPECT_EQ(m.inputs[0].dims[1].extent, 3);
  EXPECT_EQ(m.inputs[0].dims[1].symbol, CAMEO_DIM_COMPUTED);
  EXPECT_EQ(m.inputs[0].dims[1].reserved, 0);
  EXPECT_STREQ(m.inputs[0].dims[1].text, "3");
  EXPECT_STREQ(m.inputs[1].name, "bias");
  ASSERT_EQ(m.outputs[1].rank, 1);
  EXPECT_EQ(m.outputs[1].dtype, CAMEO_I64);
  EXPECT_EQ(m.outputs[1].dims[0].extent, -1);
  EXPECT_EQ(m.outputs[1].dims[0].symbol, CAMEO_DIM_COMPUTED);
  EXPECT_STREQ(m.outputs[1].dims[0].text, "n / 2 + 1");
  EXPECT_STREQ(m.symbols[0].name, "n");
  EXPECT_EQ(m.symbols[0].min, 0);
  EXPECT_EQ(m.symbols[0].max, 1000);
  EXPECT_STREQ(m.variants[0].name, "x86-64-v2");
  EXPECT_EQ(m.variants[0].features, required_cpu_features(resolve_targets("x86-64-v2")->at(0)));
  EXPECT_EQ(m.weights_bytes, 0);
  EXPECT_EQ(m.model_sha256, std::string(64, 'a'));
  EXPECT_STREQ(m.compiler_version, "cameo test");
  EXPECT_STREQ(m.flags, "--flag");
  EXPECT_EQ(m.manifest[0], '{');
  EXPECT_EQ(reinterpret_cast<void *>(m.create), library.symbol("rows_create"));
  EXPECT_EQ(reinterpret_cast<void *>(m.run), library.symbol("rows_run"));
  EXPECT_EQ(reinterpret_cast<void *>(m.destroy), library.symbol("rows_destroy"));
  EXPECT_EQ(reinterpret_cast<void *>(m.shape), library.symbol("rows_shape"));
  EXPECT_EQ(reinterpret_cast<void *>(m.workspace_size), library.symbol("rows_workspace_size"));
  EXPECT_EQ(reinterpret_cast<void *>(m.run_once), library.symbol("rows_run_once"));
  EXPECT_EQ(reinterpret_cast<void *>(m.status_text), library.symbol("rows_status_text"));

  Library at_run(where_spec());
  EXPECT_EQ(at_run.model().outputs[0].dims[0].symbol, CAMEO_DIM_AT_RUN);
  EXPECT_STREQ(at_run.model().outputs[0].dims[0].text, "?");
  Library fixed(axpb_spec());
  EXPECT_EQ(fixed.model().inputs[0].bytes, 32);
  EXPECT_EQ(fixed.model().weights_bytes, 96); // 32, a gap to 64, 32
}

TEST(ArtefactDescribe, LabelsOfOutputs) {
  EXPECT_EQ(Library(rows_spec()).model().output_labels, nullptr);
  ArtefactSpec spec = rows_spec("labelled");
  spec.outputs[0].labels = {LabelSpec::Kind::columns, {}, {5, -6, 7}};
  spec.outputs[1].labels = {LabelSpec::Kind::elements, {"no", "maybe */ \n"}, {}};
  Library library(spec);
  const CameoLabels *labels = library.model().output_labels;
  ASSERT_NE(labels, nullptr);
  EXPECT_EQ(labels[0].kind, CAMEO_LABELS_COLUMNS);
  ASSERT_EQ(labels[0].count, 3);
  EXPECT_EQ(labels[0].integers[1], -6);
  EXPECT_EQ(labels[0].strings, nullptr);
  EXPECT_EQ(labels[1].kind, CAMEO_LABELS_ELEMENTS);
  ASSERT_EQ(labels[1].count, 2);
  EXPECT_STREQ(labels[1].strings[1], "maybe */ \n");
  EXPECT_EQ(labels[1].integers, nullptr);

  const std::string header = c_header(spec);
  EXPECT_NE(header.find("the columns' keys: 5, -6, 7\n"), std::string::npos) << header;
  EXPECT_NE(header.find("positions in: 'no', 'maybe "), std::string::npos) << header;

  auto object = build_artefact(spec, ArtefactKind::obj);
  ASSERT_TRUE(object.ok());
  const std::string bytes = object->bytes();
  auto manifest = read_manifest(std::as_bytes(std::span(bytes)), "labelled.o");
  ASSERT_TRUE(manifest.ok()) << to_string(manifest.errors()[0]);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(manifest->outputs[i].labels.kind, spec.outputs[i].labels.kind);
    EXPECT_EQ(manifest->outputs[i].labels.strings, spec.outputs[i].labels.strings);
    EXPECT_EQ(manifest->outputs[i].labels.integers, spec.outputs[i].labels.integers);
  }
}

TEST(ArtefactDescribe, EveryStatusHasAText) {
  Library library(axpb_spec());
  std::set<std::string> texts;
  for (int32_t status = 0; status <= CAMEO_LIMIT_EXCEEDED; ++status) {
    if (status > CAMEO_BAD_STRING && status < CAMEO_INDEX_OUT_OF_RANGE) continue;
    EXPECT_TRUE(texts.insert(library.model().status_text(status)).second) << status;
  }
  for (int32_t status : {-1, 21, 37, INT32_MAX}) EXPECT_STREQ(library.model().status_text(status), "unknown status");
}

TEST(ArtefactDescribe, NamesOfAHostileModel) {
  ArtefactSpec spec = rows_spec("hostile");
  spec.inputs[0].name = std::string("a\0b", 3);
  spec.inputs[1].name = std::string(5000, '\n') + "\x1b[31m";
  Library library(spec);
  EXPECT_STREQ(library.model().inputs[0].name, "a\\x00b");
  EXPECT_EQ(library.model().inputs[1].name, spec.inputs[1].name);
  // In messages they are fit for a terminal, and short.
  char message[1000];
  CameoRunOptions options = no_run_options();
  options.message = message;
  options.message_bytes = sizeof message;
  CameoContext *context = nullptr;
  ASSERT_EQ(library.model().create(nullptr, &context), CAMEO_OK);
  F32 x{std::vector<float>(3), {1, 3}}, bias{{0}, {2}};
  const CameoInput inputs[] = {x.input(), bias.input()};
  EXPECT_EQ(library.model().run(context, inputs, 2, nullptr, 2, &options), CAMEO_SYMBOL_CONFLICT);
  EXPECT_EQ(std::string(message), "input '" + std::string(200, '?') + "': dim 0 is 2, but symbol 'n' is 1 already");
  library.model().destroy(context);
}

TEST(ArtefactNames, Identifiers) {
  EXPECT_EQ(c_identifier("resnet50"), "resnet50");
  EXPECT_EQ(c_identifier("resnet50-v1.5 (int8)"), "resnet50_v1_5_int8");
  EXPECT_EQ(c_identifier("__x"), "x");
  EXPECT_EQ(c_identifier("3d"), "m3d");
  EXPECT_EQ(c_identifier(""), "model");
  EXPECT_EQ(c_identifier("\xff\xfe*/"), "model");
  EXPECT_EQ(c_identifier("r\xc3\xa9seau"), "r_seau");
  for (const char *taken :
       {"int", "class", "concept", "main", "read", "exp", "malloc", "NULL", "size_t", "pthread_x", "y1"})
    EXPECT_EQ(c_identifier(taken), std::string(taken) + "_model");
  EXPECT_EQ(c_identifier(std::string(1000, 'a')), std::string(100, 'a'));
  for (const char *text : {"int", "__", "a-b", "9", "x y z", "cameo_"}) // what it returns, it keeps
    EXPECT_EQ(c_identifier(c_identifier(text)), c_identifier(text));
}

TEST(ArtefactHeader, TypedCall) {
  const std::string header = c_header(axpb_spec());
  EXPECT_NE(header.find("int axpb(\n    const float x[2][4],\n    float y[2][4]);\n"), std::string::npos) << header;
  EXPECT_NE(header.find("int axpb_call(CameoContext *context,\n    const float x[2][4],\n    float y[2][4]);\n"),
            std::string::npos);
  EXPECT_NE(header.find("'x': f32[2][4], 32 bytes"), std::string::npos);
  EXPECT_EQ(c_header(rows_spec()).find("int rows("), std::string::npos);
  EXPECT_NE(c_header(rows_spec()).find("'half': i64[n / 2 + 1]\n"), std::string::npos);
}

TEST(ArtefactHeader, EveryElementTypeHasACType) {
  ArtefactSpec spec = axpb_spec("types");
  spec.inputs.clear();
  for (int number = 1; number <= 26; ++number)
    if (const auto dtype = dtype_from_onnx(number); dtype && *dtype != DType::string)
      spec.inputs.push_back({"in_" + std::string(name(*dtype)), *dtype, {DimSpec::fixed(3), DimSpec::fixed(5)}});
  spec.outputs = {{"scalar", DType::f64, {}}, {"none", DType::f32, {DimSpec::fixed(0), DimSpec::fixed(7)}}};
  const std::string header = c_header(spec);
  for (const char *parameter :
       {"const double in_f64[3][5]", "const uint16_t in_bf16[3][5]", "const float in_c64[3][5][2]",
        "const uint8_t in_i4[8]", "const uint8_t in_u2[4]", "const uint8_t in_bool[3][5]",
        "const uint64_t in_u64[3][5]", "double scalar[1]", "float *none"})
    EXPECT_NE(header.find(parameter), std::string::npos) << parameter;
}

TEST(ArtefactHeader, NamesAreEscapedAndDistinct) {
  ArtefactSpec spec = axpb_spec("names");
  const char *const hostile[] = {
      "a*/b", "a/*b", "*/",  "/*",  "line\nbreak", "back\\\nslash", "tri?\?/graph", "?\?/", "/",   "*",
      "int",  "a b",  "a-b", "a.b", "context",     "names",         "\xe2\x80\xae", "",     "x\\", "?\?\?\?/"};
  spec.inputs.clear();
  for (const char *name : hostile) spec.inputs.push_back({name, DType::f32, {DimSpec::fixed(1)}});
  spec.provenance.model_name = "*/ int x; /*\n#error \\";
  spec.provenance.compiler_version = "?\?/\n";
  const std::string header = c_header(spec);
  // Between the comment's own marks, and outside of the constant text of abi.h, nothing of them is left.
  const size_t begin = header.find("/*"), end = header.find("*/");
  const std::string comment = header.substr(begin + 2, end - begin - 2);
  EXPECT_EQ(comment.find("/*"), std::string::npos);
  EXPECT_EQ(comment.find("??"), std::string::npos);
  EXPECT_EQ(comment.find("\\\n"), std::string::npos);
  EXPECT_EQ(header.find("\n#error \\"), std::string::npos);
  for (const std::string line : {"'a*\\x2fb'", "'line\\x0abreak'", "'back\\x5c\\x0aslash'", "'tri?\\x3f/graph'"})
    EXPECT_NE(comment.find(line), std::string::npos) << line;
  for (const char *parameter :
       {"a_b[1]", "a_b_2[1]", "a_b_3[1]", "int_tensor[1]", "context_tensor[1]", "names_tensor[1]", "tensor[1]"})
    EXPECT_NE(header.find(std::string("const float ") + parameter), std::string::npos) << parameter;
  EXPECT_TRUE(std::all_of(header.begin(), header.end(), [](char c) { return c == '\n' || (c >= 0x20 && c < 0x7f); }));
}

void expect_manifest(const Manifest &m, const ArtefactSpec &spec) {
  EXPECT_EQ(m.abi_version, CAMEO_ABI_VERSION);
  EXPECT_EQ(m.prefix, spec.prefix);
  ASSERT_EQ(m.inputs.size(), spec.inputs.size());
  ASSERT_EQ(m.outputs.size(), spec.outputs.size());
  for (size_t i = 0; i < m.outputs.size(); ++i) {
    EXPECT_EQ(m.outputs[i].name, spec.outputs[i].name);
    EXPECT_EQ(m.outputs[i].dtype, spec.outputs[i].dtype);
    ASSERT_EQ(m.outputs[i].dims.size(), spec.outputs[i].dims.size());
    for (size_t d = 0; d < m.outputs[i].dims.size(); ++d) {
      EXPECT_EQ(m.outputs[i].dims[d].extent, spec.outputs[i].dims[d].extent);
      EXPECT_EQ(m.outputs[i].dims[d].symbol, spec.outputs[i].dims[d].symbol);
      EXPECT_EQ(m.outputs[i].dims[d].at_run, spec.outputs[i].dims[d].at_run);
      EXPECT_EQ(m.outputs[i].dims[d].text, spec.outputs[i].dims[d].text);
    }
  }
  ASSERT_EQ(m.symbols.size(), spec.symbols.size());
  for (size_t i = 0; i < m.symbols.size(); ++i) EXPECT_EQ(m.symbols[i].max, spec.symbols[i].max);
  ASSERT_EQ(m.variants.size(), spec.variants.size());
  EXPECT_EQ(m.variants[0].first, spec.variants[0].target.name);
  EXPECT_EQ(m.weights_bytes, spec.weights.size());
  EXPECT_EQ(m.weights_sha256, sha256_hex(spec.weights.pieces()));
  EXPECT_EQ(m.provenance.model_name, spec.provenance.model_name);
  EXPECT_EQ(m.provenance.model_sha256, spec.provenance.model_sha256);
  EXPECT_EQ(m.provenance.flags, spec.provenance.flags);
  EXPECT_EQ(m.provenance.files, spec.provenance.files);
  EXPECT_EQ(m.provenance.facts, spec.provenance.facts);
}

Result<Manifest> read(const std::string &bytes) { return read_manifest(std::as_bytes(std::span(bytes)), "lib.so"); }

TEST(ArtefactManifest, RoundTripsThroughEveryKind) {
  for (const ArtefactSpec &spec : {axpb_spec(), rows_spec(), where_spec()})
    for (ArtefactKind kind : {ArtefactKind::so, ArtefactKind::a, ArtefactKind::obj}) {
      auto manifest = read(build(spec, kind));
      ASSERT_TRUE(manifest.ok()) << to_string(manifest.errors()[0]);
      expect_manifest(*manifest, spec);
    }
}

TEST(ArtefactManifest, TheLoadedLibrarySaysTheSame) {
  const ArtefactSpec spec = axpb_spec();
  Library library(spec);
  EXPECT_EQ(read(build(spec, ArtefactKind::so))->json, library.model().manifest);
}

TEST(ArtefactManifest, NamesThatAreNotUtf8DoNotBreakIt) {
  ArtefactSpec spec = rows_spec();
  spec.inputs[0].name = "\xff\"\\\n\xc3";
  spec.provenance.facts = {{"producer", std::string("\0\x80", 2)}};
  auto manifest = read(build(spec, ArtefactKind::obj));
  ASSERT_TRUE(manifest.ok());
  EXPECT_EQ(manifest->inputs[0].name, "\xef\xbf\xbd\"\\\n\xef\xbf\xbd"); // U+FFFD for what is not UTF-8
}

TEST(ArtefactManifest, OtherFilesAreRefused) {
  auto refused = [](const std::string &bytes) {
    auto manifest = read(bytes);
    ASSERT_FALSE(manifest.ok());
    EXPECT_EQ(exit_code(manifest.errors()), ExitCode::bad_model);
    EXPECT_EQ(manifest.errors()[0].where, "lib.so");
  };
  refused("");
  refused("!<arch>\n");
  refused("\x7f"
          "ELF");
  refused("!<arch>\n" + std::string(59, ' '));
  refused(std::string(1000, '\0'));
  std::string bytes = build(axpb_spec(), ArtefactKind::obj);
  const size_t at = bytes.find("{\"abi_version\"");
  ASSERT_NE(at, std::string::npos);
  auto with = [&](const std::string &text) {
    std::string changed = bytes;
    return changed.replace(at, text.size(), text);
  };
  refused(with("[[[[[[[[[["));
  refused(with("{}\0"));
  refused(with(std::string("{}\0", 3)));
  refused(with("{\"abi_version\":-"));
  refused(with("{\"abi_version\":\"1\"")); // and so on: wrong type, then damaged JSON
}

// Deep nesting, numbers out of range, lists of other things: never a crash (this runs under AddressSanitizer too).
TEST(ArtefactManifest, HostileJson) {
  ArtefactSpec spec = axpb_spec();
  spec.provenance.facts = {{"padding", std::string(100000, 'x')}};
  const std::string bytes = build(spec, ArtefactKind::obj);
  const size_t at = bytes.find("{\"abi_version\"");
  const std::string good = read(bytes)->json;
  auto with = [&](std::string json) {
    std::string changed = bytes;
    json.resize(std::min(json.size(), good.size()));
    return changed.replace(at, json.size() + 1, json + std::string(1, '\0'));
  };
  auto swapped = [&](const std::string &from, const std::string &to) {
    std::string json = good;
    const size_t where = json.find(from);
    EXPECT_NE(where, std::string::npos) << from;
    return with(json.replace(where, from.size(), to));
  };
  EXPECT_TRUE(read(swapped("padding", "changed")).ok());
  EXPECT_FALSE(read(with(std::string(90000, '['))).ok());
  EXPECT_FALSE(read(with(std::string(50000, '[') + std::string(50000, ']'))).ok());
  EXPECT_FALSE(read(swapped("\"dims\":[2,4]", "\"dims\":[-2]")).ok());
  EXPECT_FALSE(read(swapped("\"dims\":[2,4]", "\"dims\":[1e30]")).ok());
  EXPECT_FALSE(read(swapped("\"dims\":[2,4]", "\"dims\":[18446744073709551615]")).ok());
  EXPECT_FALSE(read(swapped("\"dims\":[2,4]", "\"dims\":[{\"symbol\":0}]")).ok());
  EXPECT_FALSE(read(swapped("\"dims\":[2,4]", "\"dims\":[{}]")).ok());
  EXPECT_FALSE(read(swapped("\"dtype\":\"f32\"", "\"dtype\":\"f33\"")).ok());
  EXPECT_FALSE(read(swapped("\"inputs\":[{", "\"inputs\":{\"x\":[{")).ok());
  EXPECT_FALSE(read(swapped("\"prefix\":\"axpb\"", "\"prefix\":\"a;b\"")).ok());
  EXPECT_FALSE(read(swapped("\"bytes\":96", "\"bytes\":-1")).ok());
  EXPECT_FALSE(read(swapped("\"embedded\":true", "\"embedded\":1")).ok());
}

// Random damage anywhere, and truncation at every length of the first kilobyte and at random ones after it.
TEST(ArtefactManifest, DamagedFiles) {
  std::mt19937 random(1);
  for (ArtefactKind kind : {ArtefactKind::so, ArtefactKind::a, ArtefactKind::obj}) {
    const std::string bytes = build(axpb_spec(), kind);
    for (size_t size = 0; size < bytes.size(); size += size < 1024 ? 1 : 1 + random() % 997)
      (void)read(bytes.substr(0, size)).ok();
    int unreadable = 0;
    for (int round = 0; round < 3000; ++round) {
      std::string damaged = bytes;
      for (unsigned i = 0, n = 1 + random() % 8; i < n; ++i) {
        // Mostly in the headers, where it hurts.
        const size_t where = random() % 2 ? random() % std::min<size_t>(bytes.size(), 1500) : random() % bytes.size();
        damaged[where] = random() % 4 ? char(random()) : char(random() % 2 ? 0xff : 0);
      }
      unreadable += !read(damaged).ok();
    }
    EXPECT_GT(unreadable, 0);
    EXPECT_LT(unreadable, 3000);
  }
}

TEST(ArtefactManifest, TablesThatReachBeyondTheFile) {
  const std::string bytes = build(axpb_spec(), ArtefactKind::obj);
  // e_shoff and e_shnum; the first note's offset and size.
  for (uint64_t value : {uint64_t(0), uint64_t(1) << 40, UINT64_MAX, UINT64_MAX - 63, uint64_t(bytes.size()) - 1}) {
    std::string damaged = bytes;
    std::memcpy(damaged.data() + 0x28, &value, 8);
    EXPECT_FALSE(read(damaged).ok());
    damaged = bytes;
    damaged[0x3c] = damaged[0x3d] = char(0xff);
    (void)read(damaged).ok();
  }
}

TEST(Digest, KnownValuesAndBothImplementations) {
  auto digest = [](const std::string &text) { return sha256_hex(std::as_bytes(std::span(text))); };
  // FIPS 180-4 examples.
  EXPECT_EQ(digest(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(digest("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(digest("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(digest(std::string(1000000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  std::mt19937 random(2);
  std::vector<std::byte> bytes(1000);
  for (std::byte &b : bytes) b = std::byte(random());
  for (int round = 0; round < 500; ++round) { // cut into pieces at random
    std::vector<std::span<const std::byte>> pieces;
    for (size_t at = 0; at < bytes.size();) {
      const size_t n = std::min<size_t>(random() % 200, bytes.size() - at);
      pieces.push_back(std::span(bytes).subspan(at, n));
      at += n;
      if (random() % 10 == 0) break;
    }
    ASSERT_EQ(sha256_hex(pieces), portable_sha256_hex(pieces));
  }
}

} // namespace
} // namespace cameo::codegen
