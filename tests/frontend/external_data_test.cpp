// RELIABILITY rows B42 to B52: external data is confined to the model's folder and to roots that are named.
#include "../../src/frontend/external_data.h"
#include "model_builder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace cameo::frontend::test {
namespace {

namespace fs = std::filesystem;
using Entries = std::vector<std::pair<std::string, std::string>>;

// x + w where the three floats of w lie in a file.
onnx::ModelProto external_model(const Entries &entries, int64_t elements = 3) {
  onnx::ModelProto model = model_of({node("Add", {"x", "w"}, {"y"})}, 17, value("x", 1, {2, 1}));
  onnx::TensorProto *w = model.mutable_graph()->add_initializer();
  w->set_name("w");
  w->set_data_type(1);
  w->add_dims(elements);
  w->set_data_location(onnx::TensorProto::EXTERNAL);
  for (const auto &[key, text] : entries) {
    auto *entry = w->add_external_data();
    entry->set_key(key);
    entry->set_value(text);
  }
  return model;
}

std::string twelve_bytes() {
  const float values[3] = {1, 2, 3};
  return std::string(reinterpret_cast<const char *>(values), sizeof values);
}

// model/m.onnx beside files that may and may not be read.
struct Layout {
  TempFolder folder;
  Layout() {
    fs::create_directories(folder.path("model/sub"));
    fs::create_directories(folder.path("outside"));
    folder.write("model/w.bin", twelve_bytes());
    folder.write("model/sub/w.bin", twelve_bytes());
    folder.write("outside/w.bin", twelve_bytes());
  }
  Result<Model> load(const Entries &entries, const LoadOptions &options = {}, int64_t elements = 3) const {
    folder.write("model/m.onnx", external_model(entries, elements).SerializeAsString());
    return load_model(folder.path("model/m.onnx"), options);
  }
};

TEST(ExternalData, IsReadInPlace) {
  Layout at;
  const Result<Model> result = at.load({{"location", "w.bin"}, {"offset", "0"}, {"length", "12"}});
  expect_accepted(result, "external data");
  ASSERT_EQ(result->info.files.size(), 2u);
  EXPECT_EQ(result->info.files[1].bytes, 12u);
  bool found = false;
  for (graph::Node *node : result->graph.main().body->nodes())
    if (const graph::ConstantData *data = node->result()->constant()) {
      found = true;
      EXPECT_EQ(data->as_double(2), 3.0);
    }
  EXPECT_TRUE(found);
  expect_accepted(at.load({{"location", "sub/w.bin"}}), "in a folder below, without offset and length");
  expect_accepted(at.load({{"location", "./w.bin"}}), "with a dot");
}

struct Row {
  const char *id;
  ExitCode code;
  const char *message;
  Entries entries;
};

TEST(ExternalData, EachRowIsRefused) {
  Layout at;
  fs::create_symlink("../outside/w.bin", at.folder.path("model/link.bin"));
  fs::create_symlink("../outside", at.folder.path("model/linkdir"));
  fs::create_symlink(at.folder.path("outside/w.bin"), at.folder.path("model/absolute.bin"));
  fs::create_symlink("/proc/self/environ", at.folder.path("model/proc.bin"));
  ASSERT_EQ(::mkfifo(at.folder.path("model/fifo").c_str(), 0600), 0);
  constexpr ExitCode kBad = ExitCode::bad_model, kMissing = ExitCode::missing;
  const Row rows[] = {
      {"B42 parent folder", kBad, "external data '../outside/w.bin' has a `..`", {{"location", "../outside/w.bin"}}},
      {"B42 parent folder in the middle", kBad, "has a `..`", {{"location", "sub/../../outside/w.bin"}}},
      {"B42 parent folder at the end", kBad, "has a `..`", {{"location", "sub/.."}}},
      {"B43 absolute", kBad, "is absolute", {{"location", at.folder.path("outside/w.bin")}}},
      {"B44 a final link that leads out", kBad, "leads out of the model's folder", {{"location", "link.bin"}}},
      {"B44 an absolute link", kBad, "leads out of the model's folder", {{"location", "absolute.bin"}}},
      {"B44 a link to /proc", kBad, "leads out of the model's folder", {{"location", "proc.bin"}}},
      {"B45 a folder link that leads out", kBad, "leads out of the model's folder", {{"location", "linkdir/w.bin"}}},
      {"B46 missing", kMissing, "external data 'none.bin' does not exist", {{"location", "none.bin"}}},
      {"B46 missing folder", kMissing, "does not exist", {{"location", "none/w.bin"}}},
      {"B46 a file as a folder", kMissing, "does not exist", {{"location", "w.bin/w.bin"}}},
      {"B47 a folder", kBad, "is not a regular file", {{"location", "sub"}}},
      {"B47 a FIFO", kBad, "is not a regular file", {{"location", "fifo"}}},
      {"B48 offset past the end",
       kBad,
       "has 12 bytes; 12 at offset 4 lie outside",
       {{"location", "w.bin"}, {"offset", "4"}}},
      {"B48 negative offset", kBad, "offset '-4' is not a number", {{"location", "w.bin"}, {"offset", "-4"}}},
      {"B48 offset that is no number",
       kBad,
       "offset '0x10' is not a number",
       {{"location", "w.bin"}, {"offset", "0x10"}}},
      {"B48 empty offset", kBad, "offset '' is not a number", {{"location", "w.bin"}, {"offset", ""}}},
      {"B48 offset above 64 bits",
       kBad,
       "is not a number",
       {{"location", "w.bin"}, {"offset", "18446744073709551616"}}},
      {"B49 length other than dims",
       kBad,
       "has length 8 where dtype and dims need 12",
       {{"location", "w.bin"}, {"length", "8"}}},
      {"B49 offset + length overflows",
       kBad,
       "lie outside",
       {{"location", "w.bin"}, {"offset", "18446744073709551615"}, {"length", "12"}}},
      {"B50 duplicate key", kBad, "has the key 'location' twice", {{"location", "w.bin"}, {"location", "w.bin"}}},
      {"B50 unknown key", kBad, "has the unknown key 'url'", {{"location", "w.bin"}, {"url", "http://"}}},
      {"B50 no location", kBad, "has no location", {{"offset", "0"}}},
      {"B50 empty location", kBad, "is empty", {{"location", ""}}},
      {"B50 NUL in the location", kBad, "contains a NUL", {{"location", std::string("w.bin\0x", 7)}}},
      {"B50 a control character is escaped",
       kMissing,
       "external data 'a\\x0ab' does not exist",
       {{"location", "a\nb"}}},
  };
  for (const Row &row : rows) expect_refused(at.load(row.entries), row.code, row.message, row.id);
}

TEST(ExternalData, TheSameWithoutOpenat2) {
  Layout at;
  fs::create_symlink("../outside/w.bin", at.folder.path("model/link.bin"));
  fs::create_symlink("../outside", at.folder.path("model/linkdir"));
  auto resolve = [&](const std::string &location) {
    ExternalData data(at.folder.path("model/m.onnx"), {});
    data.disable_openat2();
    return data.resolve({{"location", location}}, 12, "here");
  };
  EXPECT_TRUE(resolve("w.bin").ok());
  EXPECT_TRUE(resolve("sub/w.bin").ok());
  EXPECT_TRUE(resolve(".//sub/./w.bin").ok());
  for (const char *location : {"link.bin", "linkdir/w.bin", "../outside/w.bin", "/etc/passwd", "none"})
    EXPECT_FALSE(resolve(location).ok()) << location;
}

TEST(ExternalData, LinksInsideTheFolderAndHardLinksAreFine) {
  Layout at;
  fs::create_symlink("sub/w.bin", at.folder.path("model/inside.bin"));
  expect_accepted(at.load({{"location", "inside.bin"}}), "a link inside");
  fs::create_hard_link(at.folder.path("outside/w.bin"), at.folder.path("model/hard.bin"));
  expect_accepted(at.load({{"location", "hard.bin"}}), "a hard link");
}

TEST(ExternalData, AnotherDeviceIsRefused) {
  TempFolder here;
  const char *shared = "/dev/shm"; // a file system of its own on most machines
  struct stat a{}, b{};
  if (::stat(here.path().c_str(), &a) != 0 || ::stat(shared, &b) != 0 || a.st_dev == b.st_dev)
    GTEST_SKIP() << "one device only";
  if (::access("/proc/self/mountinfo", R_OK) != 0) GTEST_SKIP() << "no mounts to look at";
  // A mount inside the folder cannot be made without privileges; a root on another device is the same rule from the
  // other side.
  std::string pattern = std::string(shared) + "/cameo_test_XXXXXX";
  ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
  std::ofstream(pattern + "/w.bin", std::ios::binary) << twelve_bytes();
  here.write("m.onnx", external_model({{"location", "w.bin"}}).SerializeAsString());
  expect_refused(load_model(here.path("m.onnx")), ExitCode::missing, "does not exist", "not in the folder");
  LoadOptions options;
  options.external_data_roots = {pattern};
  expect_accepted(load_model(here.path("m.onnx"), options), "the root is named");
  fs::remove_all(pattern);
}

// A cache of the kind that keeps files under their hashes and gives them names by links out of the folder.
TEST(ExternalData, NamedRoots) {
  TempFolder cache;
  fs::create_directories(cache.path("blobs"));
  fs::create_directories(cache.path("snapshots/rev"));
  cache.write("blobs/1234", twelve_bytes());
  fs::create_symlink("../../blobs/1234", cache.path("snapshots/rev/w.bin"));
  cache.write("snapshots/rev/m.onnx", external_model({{"location", "w.bin"}}).SerializeAsString());
  const std::string path = cache.path("snapshots/rev/m.onnx");
  expect_refused(load_model(path), ExitCode::bad_model, "leads out of the model's folder", "without a root");
  LoadOptions options;
  options.external_data_roots = {cache.path()};
  expect_accepted(load_model(path, options), "with the root");
  options.external_data_roots = {cache.path("none")};
  expect_refused(load_model(path, options), ExitCode::missing, "cannot be opened as external data root",
                 "a root that is not there");
}

TEST(ExternalData, B51_AFileThatChangesBetweenCheckAndMap) {
  Layout at;
  ExternalData data(at.folder.path("model/m.onnx"), {});
  data.between_check_and_map = [&] { at.folder.write("model/w.bin", twelve_bytes() + "more"); };
  const auto grown = data.resolve({{"location", "w.bin"}}, 12, "here");
  ASSERT_FALSE(grown.ok());
  EXPECT_NE(grown.errors()[0].what.find("changed while it was read"), std::string::npos);

  ExternalData later(at.folder.path("model/m.onnx"), {});
  ASSERT_TRUE(later.resolve({{"location", "w.bin"}}, 12, "here").ok());
  EXPECT_TRUE(later.check_unchanged().ok());
  at.folder.write("model/w.bin", twelve_bytes());
  EXPECT_FALSE(later.check_unchanged().ok());
}

TEST(ExternalData, B52_OffsetsBeyond4GiB) {
  Layout at;
  const int64_t offset = (int64_t{4} << 30) + 3; // unaligned, too
  const std::string path = at.folder.path("model/w.bin");
  if (::truncate(path.c_str(), offset + 12) != 0) GTEST_SKIP() << "no sparse files here";
  const int fd = ::open(path.c_str(), O_WRONLY);
  ASSERT_GE(fd, 0);
  ASSERT_EQ(::pwrite(fd, twelve_bytes().data(), 12, offset), 12);
  ::close(fd);
  const Result<Model> result = at.load({{"location", "w.bin"}, {"offset", std::to_string(offset)}});
  expect_accepted(result, "4 GiB");
  for (graph::Node *node : result->graph.main().body->nodes())
    if (const graph::ConstantData *constant = node->result()->constant()) {
      EXPECT_EQ(constant->as_double(1), 2.0);
    }
}

TEST(ExternalData, ContradictionsWithOtherData) {
  Layout at;
  onnx::ModelProto model = external_model({{"location", "w.bin"}});
  model.mutable_graph()->mutable_initializer(0)->set_raw_data("123456789012");
  expect_refused(load_model(at.folder.write("model/m.onnx", model.SerializeAsString())), ExitCode::bad_model,
                 "both external data and data of its own", "both");
  model.mutable_graph()->mutable_initializer(0)->clear_raw_data();
  model.mutable_graph()->mutable_initializer(0)->set_data_location(onnx::TensorProto::DEFAULT);
  expect_refused(load_model(at.folder.write("model/m.onnx", model.SerializeAsString())), ExitCode::bad_model,
                 "does not say so", "no location flag");
  const Result<Model> noted = at.load({{"location", "w.bin"}, {"checksum", "abc"}});
  expect_accepted(noted, "a checksum");
  ASSERT_EQ(noted->warnings.size(), 1u);
  EXPECT_NE(noted->warnings[0].what.find("checksums"), std::string::npos);
}

} // namespace
} // namespace cameo::frontend::test
