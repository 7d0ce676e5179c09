// Compiled libraries, run: threads, pools, contexts, workspaces, forks, and the state of the process that they must
// leave alone.
#include "artefact_models.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cfenv>
#include <csignal>
#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>
#include <functional>
#include <immintrin.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace cameo::codegen {
namespace {

struct Axpb {
  F32 x{{1, 2, 3, 4, 5, 6, 7, -8}, {2, 4}}, y{std::vector<float>(8), {0, 0}};
  CameoInput input = x.input();
  CameoOutput output = y.output();
  int32_t run(const CameoModel &model, CameoContext *context, const CameoRunOptions *options = nullptr) {
    std::fill(y.data.begin(), y.data.end(), -99.0f);
    return model.run(context, &input, 1, &output, 1, options);
  }
  void expect() const {
    const auto expected = axpb_expected(x.data.data());
    for (size_t i = 0; i < kCells; ++i) EXPECT_EQ(y.data[i], expected[i]) << i;
    EXPECT_EQ(y.dims, (std::vector<int64_t>{2, 4}));
  }
};

CameoContext *create(const CameoModel &model, const CameoOptions *options = nullptr) {
  CameoContext *context = nullptr;
  EXPECT_EQ(model.create(options, &context), CAMEO_OK);
  return context;
}

// A line of /proc/self/status, such as "Threads:".
long process_status(const std::string &key) {
  std::FILE *file = std::fopen("/proc/self/status", "r");
  char line[256];
  long value = -1;
  while (std::fgets(line, sizeof line, file))
    if (std::string(line).starts_with(key)) value = std::atol(line + key.size());
  std::fclose(file);
  return value;
}

TEST(ArtefactRun, OneThread) {
  Library library(axpb_spec());
  CameoContext *context = create(library.model());
  Axpb run;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(run.run(library.model(), context), CAMEO_OK);
    run.expect();
  }
  EXPECT_EQ(library.model().destroy(context), CAMEO_OK);
  EXPECT_EQ(library.model().destroy(nullptr), CAMEO_OK);
}

TEST(ArtefactRun, OwnThreadsGiveTheSameBitsAndEndWithTheContext) {
  Library library(axpb_spec());
  for (int threads : {2, 3, 4, 7}) {
    CameoOptions options = no_options();
    options.threads = threads;
    CameoContext *context = create(library.model(), &options);
    EXPECT_EQ(process_status("Threads:"), threads);
    Axpb run;
    for (int i = 0; i < 2000; ++i) {
      if (i % 500 == 0) usleep(2000); // long enough for the workers to fall asleep
      ASSERT_EQ(run.run(library.model(), context), CAMEO_OK);
      run.expect();
      if (HasFailure()) return;
    }
    EXPECT_EQ(library.model().destroy(context), CAMEO_OK);
    EXPECT_EQ(process_status("Threads:"), 1);
  }
}

TEST(ArtefactRun, TypedCalls) {
  Library library(axpb_spec());
  Axpb run;
  auto call = library.function<int(const float *, float *)>("axpb");
  EXPECT_EQ(call(run.x.data.data(), run.y.data.data()), CAMEO_OK);
  run.y.dims = {2, 4};
  run.expect();
  EXPECT_EQ(call(nullptr, run.y.data.data()), CAMEO_NULL_POINTER);
  EXPECT_EQ(call(run.x.data.data(), nullptr), CAMEO_NULL_POINTER);
  EXPECT_EQ(call(run.x.data.data(), run.x.data.data()), CAMEO_OVERLAP);

  auto call_with = library.function<int(CameoContext *, const float *, float *)>("axpb_call");
  CameoContext *context = create(library.model());
  std::fill(run.y.data.begin(), run.y.data.end(), 0.0f);
  EXPECT_EQ(call_with(context, run.x.data.data(), run.y.data.data()), CAMEO_OK);
  run.expect();
  EXPECT_EQ(call_with(nullptr, run.x.data.data(), run.y.data.data()), CAMEO_NULL_POINTER);
  library.model().destroy(context);
}

TEST(ArtefactRun, CallersPoolRunsEveryTaskOnce) {
  struct Pool {
    int regions = 0, tasks = 0;
  } pool;
  CameoPool callbacks = {[](void *user, int64_t tasks, CameoTask task, void *argument) {
                           auto *p = static_cast<Pool *>(user);
                           ++p->regions;
                           for (int64_t i = tasks - 1; i >= 0; --i, ++p->tasks) task(argument, i);
                         },
                         &pool};
  Library library(axpb_spec());
  CameoOptions options = no_options();
  options.pool = &callbacks;
  CameoContext *context = create(library.model(), &options);
  Axpb run;
  EXPECT_EQ(run.run(library.model(), context), CAMEO_OK);
  run.expect();
  EXPECT_EQ(pool.regions, 2);
  EXPECT_EQ(pool.tasks, 8);
  library.model().destroy(context);
}

TEST(ArtefactRun, SymbolsAndComputedDims) {
  Library library(rows_spec());
  const CameoModel &model = library.model();
  CameoContext *context = create(model);
  for (int64_t n : {0, 1, 2, 5, 1000}) {
    F32 x{std::vector<float>(size_t(3 * n)), {n, 3}}, bias{std::vector<float>(size_t(n)), {n}};
    for (size_t i = 0; i < x.data.size(); ++i) x.data[i] = float(i);
    for (size_t i = 0; i < bias.data.size(); ++i) bias.data[i] = 0.5f * float(i);
    const CameoInput inputs[] = {x.input(), bias.input()};

    // shape() tells what to allocate.
    int64_t y_dims[2], half_dims[1];
    CameoOutput outputs[2] = {};
    outputs[0].dims = y_dims;
    outputs[1].dims = half_dims;
    ASSERT_EQ(model.shape(inputs, 2, outputs, 2), CAMEO_OK);
    EXPECT_EQ(y_dims[0], n);
    EXPECT_EQ(y_dims[1], 3);
    EXPECT_EQ(half_dims[0], n / 2 + 1);
    EXPECT_EQ(outputs[0].bytes, 12 * n);
    EXPECT_EQ(outputs[1].bytes, 8 * (n / 2 + 1));
    EXPECT_EQ(outputs[1].dtype, CAMEO_I64);
    EXPECT_EQ(outputs[0].rank, 2);

    std::vector<float> y(size_t(3 * n));
    std::vector<int64_t> half(static_cast<size_t>(half_dims[0]));
    outputs[0].data = y.data();
    outputs[1].data = half.data();
    y_dims[0] = y_dims[1] = half_dims[0] = -7;
    ASSERT_EQ(model.run(context, inputs, 2, outputs, 2, nullptr), CAMEO_OK);
    EXPECT_EQ(y_dims[0], n);
    EXPECT_EQ(half_dims[0], n / 2 + 1);
    for (size_t i = 0; i < y.size(); ++i) ASSERT_EQ(y[i], float(i) + 0.5f * float(i / 3));
    for (size_t i = 0; i < half.size(); ++i) ASSERT_EQ(half[i], int64_t(i));
  }
  model.destroy(context);
}

TEST(ArtefactRun, DimsThatOnlyARunCanTell) {
  Library library(where_spec());
  const CameoModel &model = library.model();
  I64 x{{0, 3, 0, 0, 1, 9}, {6}}, divisor{{1}, {1}}, where{std::vector<int64_t>(4, -1), {-1}};
  const CameoInput inputs[] = {x.input(), divisor.input()};
  CameoOutput output = where.output();
  ASSERT_EQ(model.shape(inputs, 2, &output, 1), CAMEO_OK);
  EXPECT_EQ(where.dims[0], -1);
  EXPECT_EQ(output.bytes, -1);
  output = where.output();
  EXPECT_EQ(model.run_once(inputs, 2, &output, 1, nullptr, nullptr), CAMEO_OK);
  EXPECT_EQ(where.dims[0], 3);
  EXPECT_EQ(where.data, (std::vector<int64_t>{1, 4, 5, -1}));

  // Too little room: the dims say how much is needed, and nothing behind the room is written.
  where.data = {-1, -1, -1, -1};
  output.bytes = 16;
  EXPECT_EQ(model.run_once(inputs, 2, &output, 1, nullptr, nullptr), CAMEO_BUFFER_TOO_SMALL);
  EXPECT_EQ(where.dims[0], 3);
  EXPECT_EQ(where.data, (std::vector<int64_t>{1, 4, -1, -1}));
}

TEST(ArtefactRun, FailedCheckIsTheStatusOfThisRunOnly) {
  Library library(where_spec());
  const CameoModel &model = library.model();
  CameoContext *context = create(model);
  I64 x{{7}, {1}}, divisor{{0}, {1}}, where{{-1}, {-1}};
  const CameoInput inputs[] = {x.input(), divisor.input()};
  CameoOutput output = where.output();
  char message[100] = "before";
  CameoRunOptions options = no_run_options();
  options.message = message;
  options.message_bytes = sizeof message;
  EXPECT_EQ(model.run(context, inputs, 2, &output, 1, &options), CAMEO_DIVISION_BY_ZERO);
  EXPECT_STREQ(message, "an integer was divided by zero");
  divisor.data[0] = 1;
  EXPECT_EQ(model.run(context, inputs, 2, &output, 1, &options), CAMEO_OK);
  EXPECT_STREQ(message, "");
  model.destroy(context);
}

// With a workspace and an allocator that counts: create takes memory, runs do not.
struct CountingAllocator {
  int allocations = 0, releases = 0, fail_at = -1;
  int64_t bytes = 0;
  CameoAllocator callbacks() {
    return {[](void *user, size_t bytes, size_t alignment) -> void * {
              auto *a = static_cast<CountingAllocator *>(user);
              if (a->allocations == a->fail_at) return nullptr;
              ++a->allocations;
              a->bytes += int64_t(bytes);
              return std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
            },
            [](void *user, void *pointer, size_t bytes) {
              auto *a = static_cast<CountingAllocator *>(user);
              if (!pointer) return;
              ++a->releases;
              a->bytes -= int64_t(bytes);
              std::free(pointer);
            },
            this};
  }
};

TEST(ArtefactRun, NoAllocationWithTheCallersWorkspace) {
  Library library(axpb_spec());
  const CameoModel &model = library.model();
  int64_t needed = 0;
  ASSERT_EQ(model.workspace_size(nullptr, 0, 1, &needed), CAMEO_OK);
  EXPECT_EQ(needed, 64 + 63);
  CountingAllocator counting;
  CameoAllocator allocator = counting.callbacks();
  CameoOptions options = no_options();
  options.allocator = &allocator;
  CameoContext *context = create(model, &options);
  const int after_create = counting.allocations;
  std::vector<char> memory(size_t(needed) + 64);
  Axpb run;
  for (int shift = 0; shift < 64; shift += 7) { // any alignment will do
    CameoRunOptions with = no_run_options();
    with.workspace = memory.data() + shift;
    with.workspace_bytes = needed;
    EXPECT_EQ(run.run(model, context, &with), CAMEO_OK);
    run.expect();
  }
  EXPECT_EQ(counting.allocations, after_create);
  EXPECT_EQ(run.run(model, context), CAMEO_OK);
  EXPECT_EQ(run.run(model, context), CAMEO_OK);
  EXPECT_EQ(counting.allocations, after_create + 1); // its own workspace, once
  model.destroy(context);
  EXPECT_EQ(counting.releases, counting.allocations);
  EXPECT_EQ(counting.bytes, 0);
}

TEST(ArtefactRun, EveryFailedAllocationIsAStatusWithoutALeak) {
  Library library(axpb_spec());
  const CameoModel &model = library.model();
  Axpb run;
  int failures = 0;
  for (int n = 0;; ++n) {
    CountingAllocator counting;
    counting.fail_at = n;
    CameoAllocator allocator = counting.callbacks();
    CameoOptions options = no_options();
    options.allocator = &allocator;
    options.threads = 2;
    const int32_t status = model.run_once(&run.input, 1, &run.output, 1, &options, nullptr);
    EXPECT_EQ(counting.bytes, 0);
    EXPECT_EQ(counting.allocations, counting.releases);
    if (status == CAMEO_OK) break;
    EXPECT_EQ(status, CAMEO_OUT_OF_MEMORY);
    ++failures;
    ASSERT_LT(n, 100);
  }
  EXPECT_EQ(failures, 3); // the context, the workers, the workspace
  run.expect();
}

TEST(ArtefactRun, WeightsFromTheCaller) {
  ArtefactSpec spec = axpb_spec();
  alignas(64) std::byte weights[256] = {};
  int64_t size = 0;
  for (auto piece : spec.weights.pieces()) {
    std::copy(piece.begin(), piece.end(), weights + size);
    size += int64_t(piece.size());
  }
  Axpb run;
  CameoOptions options = no_options();
  options.weights = weights;
  options.weights_bytes = size;
  {
    Library library(spec); // swapped: twice the scale
    for (size_t i = 0; i < kCells; ++i) reinterpret_cast<float *>(weights)[i] *= 2;
    CameoContext *context = create(library.model(), &options);
    EXPECT_EQ(run.run(library.model(), context), CAMEO_OK);
    EXPECT_EQ(run.y.data[1], -1 * 2 * 2 + 2);
    library.model().destroy(context);
    options.weights = nullptr; // a file that could not be read is not a wish for the library's own
    EXPECT_EQ(library.model().create(&options, &context), CAMEO_NULL_POINTER);
    options.weights = weights;
    for (size_t i = 0; i < kCells; ++i) reinterpret_cast<float *>(weights)[i] /= 2;
  }
  spec.embed_weights = false;
  Library library(spec);
  CameoContext *context = nullptr;
  EXPECT_EQ(library.model().create(nullptr, &context), CAMEO_BAD_WEIGHTS);
  EXPECT_EQ(context, nullptr);
  options.weights_bytes = size - 1;
  EXPECT_EQ(library.model().create(&options, &context), CAMEO_BAD_WEIGHTS);
  options.weights_bytes = size;
  options.weights = weights + 32;
  EXPECT_EQ(library.model().create(&options, &context), CAMEO_MISALIGNED);
  options.weights = weights;
  context = create(library.model(), &options);
  EXPECT_EQ(run.run(library.model(), context), CAMEO_OK);
  run.expect();
  library.model().destroy(context);
}

TEST(ArtefactRun, ContextsInManyThreadsDoNotMeet) {
  Library library(axpb_spec());
  std::atomic<int> wrong = 0;
  auto work = [&](int seed) {
    CameoOptions options = no_options();
    options.threads = 1 + seed % 3;
    CameoContext *context = create(library.model(), &options);
    Axpb run;
    for (float &x : run.x.data) x *= float(seed);
    const auto expected = axpb_expected(run.x.data.data());
    for (int i = 0; i < 300; ++i) {
      if (run.run(library.model(), context) != CAMEO_OK) ++wrong;
      if (!std::equal(expected.begin(), expected.end(), run.y.data.begin())) ++wrong;
    }
    library.model().destroy(context);
  };
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) threads.emplace_back(work, t + 1);
  for (std::thread &thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(ArtefactRun, OneContextTwiceAtOnceIsBusy) {
  struct Inner {
    const CameoModel *model;
    CameoContext *context;
    Axpb run;
    int32_t status = -1, destroy_status = -1;
  } inner;
  Library library(axpb_spec());
  inner.model = &library.model();
  CameoPool pool = {[](void *user, int64_t tasks, CameoTask task, void *argument) {
                      auto *in = static_cast<Inner *>(user);
                      in->status = in->run.run(*in->model, in->context);
                      in->destroy_status = in->model->destroy(in->context);
                      for (int64_t i = 0; i < tasks; ++i) task(argument, i);
                    },
                    &inner};
  CameoOptions options = no_options();
  options.pool = &pool;
  inner.context = create(library.model(), &options);
  Axpb run;
  EXPECT_EQ(run.run(library.model(), inner.context), CAMEO_OK);
  run.expect();
  EXPECT_EQ(inner.status, CAMEO_BUSY);
  EXPECT_EQ(inner.destroy_status, CAMEO_BUSY);
  EXPECT_EQ(library.model().destroy(inner.context), CAMEO_OK);
}

TEST(ArtefactRun, VariantsAndMissingCpuFeatures) {
  const std::string cpus = "x86-64-v2,x86-64-v3";
  ArtefactSpec spec = axpb_spec("axpb", cpus);
  Axpb run;
  {
    Library library(spec);
    ASSERT_EQ(library.model().variant_count, 2);
    EXPECT_STREQ(library.model().variants[0].name, "x86-64-v2");
    EXPECT_STREQ(library.model().variants[1].name, "x86-64-v3");
    for (const char *name : {"x86-64-v2", "x86-64-v3"}) {
      auto target = resolve_targets(name);
      CameoOptions options = no_options();
      options.variant = name;
      CameoContext *context = nullptr;
      const int32_t status = library.model().create(&options, &context);
      if (!host_can_run(target->at(0))) {
        EXPECT_EQ(status, CAMEO_CPU_UNSUPPORTED);
        continue;
      }
      ASSERT_EQ(status, CAMEO_OK);
      EXPECT_EQ(run.run(library.model(), context), CAMEO_OK);
      run.expect();
      library.model().destroy(context);
    }
    CameoOptions options = no_options();
    options.variant = "z80";
    char message[64];
    options.message = message;
    options.message_bytes = sizeof message;
    CameoContext *context = nullptr;
    EXPECT_EQ(library.model().create(&options, &context), CAMEO_NO_SUCH_VARIANT);
    EXPECT_STREQ(message, "no variant 'z80'");
  }
  // A feature that no CPU has: the second variant is passed over, and refused when it is asked for.
  spec.variants[1].more_features = uint64_t(1) << 62;
  {
    Library library(spec);
    CameoContext *context = create(library.model());
    EXPECT_EQ(run.run(library.model(), context), CAMEO_OK);
    run.expect();
    library.model().destroy(context);
    CameoOptions options = no_options();
    options.variant = "x86-64-v3";
    EXPECT_EQ(library.model().create(&options, &context), CAMEO_CPU_UNSUPPORTED);
  }
  spec.variants[0].more_features = uint64_t(1) << 63;
  Library library(spec);
  CameoContext *context = nullptr;
  int64_t bytes;
  EXPECT_EQ(library.model().create(nullptr, &context), CAMEO_CPU_UNSUPPORTED);
  EXPECT_EQ(library.model().workspace_size(nullptr, 0, 1, &bytes), CAMEO_CPU_UNSUPPORTED);
  EXPECT_EQ(library.function<int(const float *, float *)>("axpb")(run.x.data.data(), run.y.data.data()),
            CAMEO_CPU_UNSUPPORTED);
}

TEST(ArtefactRun, TheProcessStaysAsItWas) {
  Library library(axpb_spec());
  const unsigned before = _mm_getcsr(), flags = 0x8040; // FTZ and DAZ
  std::fenv_t environment;
  std::fegetenv(&environment);
  sigset_t mask_before, mask_after;
  pthread_sigmask(SIG_SETMASK, nullptr, &mask_before);
  for (unsigned mode : {before, before | flags, (before & ~0x6000u) | 0x4000u}) { // and rounding up
    _mm_setcsr(mode);
    errno = 1234;
    CameoOptions options = no_options();
    options.threads = 2;
    CameoContext *context = create(library.model(), &options);
    Axpb run;
    EXPECT_EQ(run.run(library.model(), context), CAMEO_OK);
    library.model().destroy(context);
    EXPECT_EQ(errno, 1234);
    EXPECT_EQ(_mm_getcsr() & ~0x3fu, mode & ~0x3fu); // less the sticky exception bits, which arithmetic sets
    _mm_setcsr(before);
    run.expect();
  }
  pthread_sigmask(SIG_SETMASK, nullptr, &mask_after);
  for (int s = 1; s < 32; ++s) EXPECT_EQ(sigismember(&mask_before, s), sigismember(&mask_after, s));
  std::fesetenv(&environment);
}

int open_files() {
  return int(
      std::distance(std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator()));
}

TEST(ArtefactRun, LoadedAndUnloadedManyTimes) {
  Folder folder;
  const std::string file = folder.write("libaxpb.so", build(axpb_spec(), ArtefactKind::so));
  long resident = 0;
  int files = 0;
  for (int i = 0; i < 200; ++i) {
    void *handle = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(handle, nullptr) << dlerror();
    const auto *model = reinterpret_cast<const CameoModel *(*)()>(dlsym(handle, "axpb_describe"))();
    CameoOptions options = no_options();
    options.threads = 2;
    CameoContext *context = create(*model, &options);
    Axpb run;
    ASSERT_EQ(run.run(*model, context), CAMEO_OK);
    model->destroy(context);
    ASSERT_EQ(dlclose(handle), 0);
    ASSERT_EQ(dlopen(file.c_str(), RTLD_NOW | RTLD_NOLOAD), nullptr); // really gone
    if (i == 20) resident = process_status("VmRSS:"), files = open_files();
  }
  EXPECT_LE(process_status("VmRSS:"), resident + 2048); // KiB
  EXPECT_EQ(open_files(), files);
  EXPECT_EQ(process_status("Threads:"), 1);
}

TEST(ArtefactRun, SeveralModelsInTheGlobalScope) {
  Library one(axpb_spec("one"), RTLD_GLOBAL), two(axpb_spec("two"), RTLD_GLOBAL), again(axpb_spec("one"), RTLD_GLOBAL);
  Axpb run;
  for (const Library *library : {&one, &two, &again}) {
    CameoContext *context = create(library->model());
    EXPECT_EQ(run.run(library->model(), context), CAMEO_OK);
    run.expect();
    EXPECT_EQ(library->model().destroy(context), CAMEO_OK);
  }
  // A context knows its model.
  CameoContext *context = create(one.model());
  EXPECT_EQ(run.run(two.model(), context), CAMEO_BAD_CONTEXT);
  EXPECT_EQ(run.run(again.model(), context), CAMEO_BAD_CONTEXT);
  EXPECT_EQ(two.model().destroy(context), CAMEO_BAD_CONTEXT);
  EXPECT_EQ(one.model().destroy(context), CAMEO_OK);
}

// The status that `body` exits with in a forked child; it has ten seconds.
int in_child(const std::function<int()> &body) {
  const pid_t pid = fork();
  if (pid == 0) {
    alarm(10);
    _exit(body());
  }
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST(ArtefactRun, ForkedChildrenRunAndDestroy) {
  Library library(axpb_spec());
  const CameoModel &model = library.model();
  CameoOptions options = no_options();
  options.threads = 3;
  CameoContext *context = create(model, &options);
  Axpb run;
  for (int used = 0; used < 2; ++used) { // before the first run, and after one
    EXPECT_EQ(in_child([&] {
                for (int i = 0; i < 10; ++i)
                  if (run.run(model, context) != CAMEO_OK) return 1;
                run.expect();
                if (::testing::Test::HasFailure()) return 2;
                return model.destroy(context) == CAMEO_OK ? 0 : 3;
              }),
              0);
    EXPECT_EQ(in_child([&] { return model.destroy(context); }), CAMEO_OK);
    EXPECT_EQ(run.run(model, context), CAMEO_OK);
    run.expect();
  }
  model.destroy(context);
}

TEST(ArtefactRun, SmallThreadStackIsEnough) {
  static Library *library;
  Library loaded(axpb_spec());
  library = &loaded;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 64 << 10);
  pthread_t thread;
  ASSERT_EQ(pthread_create(
                &thread, &attributes,
                [](void *) -> void * {
                  Axpb run;
                  const int32_t status = library->model().run_once(&run.input, 1, &run.output, 1, nullptr, nullptr);
                  return reinterpret_cast<void *>(intptr_t(status));
                },
                nullptr),
            0);
  void *status = nullptr;
  pthread_join(thread, &status);
  pthread_attr_destroy(&attributes);
  EXPECT_EQ(status, nullptr);
}

TEST(ArtefactRun, ThreadsThatCannotStartAreAStatus) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "address space limits do not go with AddressSanitizer";
#else
  Library library(axpb_spec());
  EXPECT_EQ(in_child([&] {
              rlimit limit{64 << 20, 64 << 20}; // of address space: room for some stacks of 1 MiB, not for 1,000
              setrlimit(RLIMIT_AS, &limit);
              CameoOptions options = no_options();
              options.threads = 1024;
              CameoContext *context = nullptr;
              return library.model().create(&options, &context);
            }),
            CAMEO_NO_THREADS);
#endif
}

} // namespace
} // namespace cameo::codegen
