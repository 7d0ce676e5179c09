/* The C interface of every library that Cameo compiles, version 1. C11 and C++.
 *
 * A compiled model with the prefix `net` exports these functions and nothing else; its generated header `net.h`
 * contains this text, so that a user needs neither this file nor an installation of Cameo:
 *
 *   net_describe        what the model is: inputs, outputs, symbols, provenance. Static data, never freed.
 *   net_create          a context: a CPU variant, workers if asked for, a workspace kept between runs
 *   net_run             runs it: checks every argument, fills the outputs
 *   net_destroy         joins the workers and frees the context
 *   net_shape           the outputs' shapes and sizes for given inputs' shapes
 *   net_workspace_size  the scratch memory of a run, in bytes
 *   net_run_once        create, run and destroy in one call: stateless
 *   net_status_text     a status in words
 *   net, net_call       when all shapes are fixed: a plain typed call, without and with a context
 *
 * For example, a model with an input x: f32[batch][8] and an output y: f32[batch][3]:
 *
 *   int run_batch(int64_t batch, const float *x, float *y) {
 *     int64_t x_dims[2] = {batch, 8}, y_dims[2];
 *     CameoInput input = {x, batch * 8 * (int64_t)sizeof *x, x_dims, CAMEO_F32, 2};
 *     CameoOutput output = {y, batch * 3 * (int64_t)sizeof *y, y_dims, CAMEO_F32, 2};
 *     CameoContext *context;
 *     int status = net_create(NULL, &context);
 *     if (status != CAMEO_OK) return status;
 *     status = net_run(context, &input, 1, &output, 1, NULL);
 *     net_destroy(context);
 *     return status;
 *   }
 *
 * Promises. Nothing happens before the first call: no constructor, no thread, no allocation. A library never touches
 * the process: no floating-point mode, signal, locale, environment, output or errno. It runs on the calling thread
 * unless create is told otherwise, and results have the same bits for any number of threads. Any number of contexts may
 * live and run at once, and contexts of different models as well; one context runs one call at a time (else
 * CAMEO_BUSY). run() allocates nothing when it is given a workspace, unless the model makes tensors whose size the
 * shapes of the inputs do not bound (the manifest's "run-time memory" says so): it asks the context's allocator for
 * these, and releases them before it returns. Models with strings also keep some memory of that allocator in the
 * context. Every argument is checked: misuse is a status, never a crash, as long as
 * the pointers point to what they say.
 *
 * Linking. A shared library exports the functions above. Those of a static library or an object file can be called in
 * the program or library that they are linked into and nowhere else, so that two libraries may each hold a model of one
 * prefix. Where threads are a library of their own (glibc before 2.34), programs are linked with -pthread.
 *
 * Strings. An element of a tensor of strings is a CameoString: bytes, in UTF-8, that need no zero behind them and may
 * hold zeros. Those of inputs are the caller's and must not change during the run. Those of outputs are the context's:
 * net_run and net_call write the CameoStrings, and what they point to stays until the next run of that context or its
 * end. net_run_once leaves no context behind, so it stores the bytes in the caller's buffer, behind the CameoStrings;
 * when they do not fit, it returns CAMEO_BUFFER_TOO_SMALL, and CameoOutput.bytes says what is needed.
 *
 * Sequences and optionals of tensors are passed as tensors, which CameoModel.input_containers and output_containers
 * describe. In the place of a sequence x of n elements stand
 *
 *   x.dims     i64[n][rank]   the extents of each element
 *   x.data     [total]        the elements one behind the other, each row-major: total is the sum of their sizes
 *
 * and, where the model does not say that its elements have one rank, rows of 8 extents in x.dims, of which each element
 * uses as many as its rank (of inputs the rest is not read, of outputs it is 1), and
 *
 *   x.ranks    i64[n]         the rank of each element, 0 to 8
 *
 * An optional tensor is a sequence of no or one element. An optional sequence is a sequence and, as its last tensor,
 *
 *   x.present  bool           whether it is there; a sequence that is not there is empty
 *
 * They are ordinary inputs and outputs: of an input the caller chooses n and total (the symbols x.length and x.total),
 * of an output run() writes both into the dims. Extents and ranks that are negative, too large, or do not add up to the
 * data are CAMEO_SHAPE_MISMATCH. For example, two vectors of 3 and 1 elements: dims {3, 1} of shape [2][1], data of
 * shape [4].
 *
 * Not part of version 1: maps, and containers of strings, as inputs or outputs. Two kinds of outputs are told in
 * numbers instead (CameoModel.output_labels): a tensor of strings that are all known when the model is compiled, as the
 * positions of its strings in a list, and a sequence of maps, one per row, as the tensor of their values, of which a
 * list says the keys of the columns.
 */
#ifndef CAMEO_ABI_H
#define CAMEO_ABI_H
#define CAMEO_ABI_VERSION 1

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What every function returns, as an int32_t. Negative values are never used. */
enum CameoStatus {
  CAMEO_OK = 0,
  CAMEO_NULL_POINTER = 1,         /* a required pointer is null */
  CAMEO_BAD_CONTEXT = 2,          /* not a context of this model, or destroyed */
  CAMEO_BUSY = 3,                 /* the context is running in another thread */
  CAMEO_BAD_OPTIONS = 4,          /* struct_size is not set, or a value is out of range */
  CAMEO_WRONG_COUNT = 5,          /* not the model's number of inputs, outputs or symbols */
  CAMEO_WRONG_DTYPE = 6,          /* the tensor's dtype is not the model's */
  CAMEO_WRONG_RANK = 7,           /* the tensor's rank is not the model's */
  CAMEO_WRONG_DIM = 8,            /* a dim differs from the model's fixed dim */
  CAMEO_SYMBOL_CONFLICT = 9,      /* one symbol was given two values */
  CAMEO_DIM_OUT_OF_RANGE = 10,    /* a dim is negative, out of the model's range, or too small for a window inside it */
  CAMEO_BUFFER_TOO_SMALL = 11,    /* a tensor has fewer bytes than its shape needs; outputs: dims say what is needed */
  CAMEO_MISALIGNED = 12,          /* data is not aligned to its element type (weights: to 64 bytes) */
  CAMEO_OVERLAP = 13,             /* an output or the workspace overlaps another tensor */
  CAMEO_WORKSPACE_TOO_SMALL = 14, /* less than workspace_size() says */
  CAMEO_OUT_OF_MEMORY = 15,       /* the allocator returned null */
  CAMEO_NO_THREADS = 16,          /* a worker could not be started */
  CAMEO_CPU_UNSUPPORTED = 17,     /* the CPU lacks instructions that the model was compiled for */
  CAMEO_NO_SUCH_VARIANT = 18,     /* the library has no variant of that name */
  CAMEO_BAD_WEIGHTS = 19,         /* the weights are missing or have another size */
  CAMEO_BAD_STRING = 20,          /* a string of an input has a negative or impossible length, or null for its bytes */
  /* Found while running; the outputs are unspecified then. */
  CAMEO_INDEX_OUT_OF_RANGE = 32, /* an index computed from the inputs is outside of its tensor */
  CAMEO_DIVISION_BY_ZERO = 33,   /* an integer was divided by zero */
  CAMEO_SHAPE_MISMATCH = 34,     /* shapes computed from the inputs do not fit together */
  CAMEO_INVALID_VALUE = 35,      /* a value computed from the inputs is not allowed by the operator */
  CAMEO_LIMIT_EXCEEDED = 36      /* a trip count or a size computed from the inputs exceeds its limit */
};

/* Element types: the numbers of ONNX's TensorProto.DataType. 4- and 2-bit elements are packed, low bits first. */
enum CameoDType {
  CAMEO_F32 = 1,
  CAMEO_U8 = 2,
  CAMEO_I8 = 3,
  CAMEO_U16 = 4,
  CAMEO_I16 = 5,
  CAMEO_I32 = 6,
  CAMEO_I64 = 7,
  CAMEO_STRING = 8, /* a CameoString */
  CAMEO_BOOL = 9,   /* one byte, 0 or 1 */
  CAMEO_F16 = 10,
  CAMEO_F64 = 11,
  CAMEO_U32 = 12,
  CAMEO_U64 = 13,
  CAMEO_C64 = 14,
  CAMEO_C128 = 15,
  CAMEO_BF16 = 16,
  CAMEO_F8E4M3FN = 17,
  CAMEO_F8E4M3FNUZ = 18,
  CAMEO_F8E5M2 = 19,
  CAMEO_F8E5M2FNUZ = 20,
  CAMEO_U4 = 21,
  CAMEO_I4 = 22,
  CAMEO_F4E2M1 = 23,
  CAMEO_F8E8M0 = 24,
  CAMEO_U2 = 25,
  CAMEO_I2 = 26
};

/* An element of a tensor of strings. */
typedef struct CameoString {
  const char *data; /* may be null when bytes is 0 */
  int64_t bytes;
} CameoString;

/* One dimension of an input or output, as the model declares it. */
#define CAMEO_DIM_COMPUTED (-1) /* CameoDim.symbol: fixed, or follows from the symbols */
#define CAMEO_DIM_AT_RUN (-2)   /* CameoDim.symbol: only a run can tell */
typedef struct CameoDim {
  int64_t extent;   /* >= 0: fixed; -1: depends on the inputs */
  int32_t symbol;   /* >= 0: exactly that one of CameoModel.symbols; else one of the two above */
  int32_t reserved; /* 0 */
  const char *text; /* "224", "batch", "(height + 1) / 2"; "?" when only a run can tell */
} CameoDim;

/* An input or output, as the model declares it. */
typedef struct CameoValue {
  const char *name; /* as in the model */
  int32_t dtype;    /* CameoDType */
  int32_t rank;
  const CameoDim *dims; /* rank of them */
  int64_t bytes;        /* size when every dim is fixed, else -1 */
} CameoValue;

/* A dim that the caller chooses by the shapes of the inputs. */
typedef struct CameoSymbol {
  const char *name;
  int64_t min, max; /* the values that the library accepts */
} CameoSymbol;

/* One compiled program for one kind of CPU. The last one that the CPU supports is the default. */
typedef struct CameoVariant {
  const char *name;  /* "x86-64-v3" */
  uint64_t features; /* the CPU features that it needs, as bits (0: any CPU of the architecture) */
} CameoVariant;

/* What the numbers of an output stand for, where the model has strings or maps. */
enum CameoLabelKind {
  CAMEO_LABELS_NONE = 0,     /* nothing: the output is as the model declares it */
  CAMEO_LABELS_ELEMENTS = 1, /* an i64 element is the position of its string in the list */
  CAMEO_LABELS_COLUMNS = 2   /* the last dim runs over the list: the keys of a map per row */
};
typedef struct CameoLabels {
  int32_t kind;               /* CameoLabelKind */
  int32_t count;              /* of the list */
  const char *const *strings; /* count of them, in UTF-8 as in the model, or null */
  const int64_t *integers;    /* count of them, or null; exactly one of the two is not null when count > 0 */
} CameoLabels;

/* A sequence or optional of tensors in the model: `count` tensors, from number `first` on, among the inputs or outputs
 * here. What they hold is told at the top of this file. */
enum CameoContainerKind { CAMEO_SEQUENCE = 1, CAMEO_OPTIONAL = 2, CAMEO_OPTIONAL_SEQUENCE = 3 };
typedef struct CameoContainer {
  const char *name; /* as in the model */
  int32_t kind;     /* CameoContainerKind */
  int32_t dtype;    /* of the elements: CameoDType */
  int32_t rank;     /* of every element; -1: each has its own, and there is a tensor of them */
  int32_t first, count;
  int32_t reserved;     /* 0 */
  const CameoDim *dims; /* rank of them, null when there are none: of an element; each fixed, or CAMEO_DIM_AT_RUN */
} CameoContainer;

/* A tensor that the model reads. Elements are contiguous and row-major. */
typedef struct CameoInput {
  const void *data;    /* aligned to its element type; may be null when the tensor has no elements */
  int64_t bytes;       /* readable at data: at least what the shape needs */
  const int64_t *dims; /* rank of them; may be null when the rank is 0 */
  int32_t dtype;       /* CameoDType */
  int32_t rank;
} CameoInput;

/* A tensor that the model writes. */
typedef struct CameoOutput {
  void *data;
  int64_t bytes; /* writable at data: at least what the shape needs */
  int64_t *dims; /* room for rank of them, written by run; may be null when the rank is 0 */
  int32_t dtype; /* CameoDType */
  int32_t rank;
} CameoOutput;

/* The caller's threads. */
typedef void (*CameoTask)(void *argument, int64_t index);
typedef struct CameoPool {
  /* Calls task(argument, i) once for every i in [0, tasks), on any threads and in any order, and returns when all calls
   * have returned. Must not run anything else of the same context meanwhile. */
  void (*parallel)(void *user, int64_t tasks, CameoTask task, void *argument);
  void *user;
} CameoPool;

/* The caller's memory. allocate returns null when there is none; alignment is a power of two, at most 64. */
typedef struct CameoAllocator {
  void *(*allocate)(void *user, size_t bytes, size_t alignment);
  void (*release)(void *user, void *pointer, size_t bytes);
  void *user;
} CameoAllocator;

/* How to create a context. Set struct_size to sizeof(CameoOptions) and everything else to zero, then what you want. */
typedef struct CameoOptions {
  size_t struct_size;
  int32_t threads;                 /* 0 or 1: the calling thread; n <= 1024: create starts n - 1 workers */
  int32_t reserved;                /* 0 */
  const CameoPool *pool;           /* runs parallel work instead of own workers (threads must be 0 then); copied */
  const CameoAllocator *allocator; /* null: malloc and free, a large workspace by mmap; copied */
  const char *variant;             /* null: the best that the CPU supports */
  const void *weights;             /* null: those in the library; aligned to 64, must outlive the context */
  int64_t weights_bytes;           /* CameoModel.weights_bytes; 0 when weights is null */
  char *message;                   /* null, or room for one line that says what is wrong, with the values */
  size_t message_bytes;
} CameoOptions;

/* How to run. Set struct_size to sizeof(CameoRunOptions) and everything else to zero, then what you want. */
typedef struct CameoRunOptions {
  size_t struct_size;
  void *workspace; /* null: the context's own, allocated by the first run that needs it and kept; any alignment */
  int64_t workspace_bytes; /* at least what workspace_size() says; 0 when workspace is null */
  char *message;           /* null, or room for one line that says what is wrong, with the values */
  size_t message_bytes;
} CameoRunOptions;

typedef struct CameoContext CameoContext;

/* A model: what it is and what can be done with it. `prefix` below stands for the model's own. */
typedef struct CameoModel {
  size_t struct_size;
  int32_t abi_version;
  int32_t input_count, output_count, symbol_count, variant_count;
  int32_t reserved;   /* 0 */
  const char *name;   /* of the model, as in the file */
  const char *prefix; /* of the exported functions */
  const CameoValue *inputs;
  const CameoValue *outputs;
  const CameoSymbol *symbols;
  const CameoVariant *variants; /* most capable last */
  int64_t weights_bytes;
  const char *model_sha256;     /* of the model file, 64 hexadecimal digits; may be empty */
  const char *compiler_version; /* "cameo 0.1.0" */
  const char *flags;            /* the options of the compilation */
  const char *manifest;         /* all of that and more as JSON: the same as in the library's note .note.cameo */

  /* prefix_create: a context in *context, or a status and null. options may be null. */
  int32_t (*create)(const CameoOptions *options, CameoContext **context);
  /* prefix_run: options may be null. The inputs must not change meanwhile. On failure the outputs are unspecified. */
  int32_t (*run)(CameoContext *context, const CameoInput *inputs, int32_t input_count, CameoOutput *outputs,
                 int32_t output_count, const CameoRunOptions *options);
  /* prefix_destroy: null is fine. A busy context is left alone (CAMEO_BUSY). */
  int32_t (*destroy)(CameoContext *context);
  /* prefix_shape: reads the inputs' dtype, rank and dims (not data and bytes); writes the outputs' dtype, rank, dims
   * (each with room for the model's rank) and bytes. What only a run can tell is -1. */
  int32_t (*shape)(const CameoInput *inputs, int32_t input_count, CameoOutput *outputs, int32_t output_count);
  /* prefix_workspace_size: for these symbol values, in the order of `symbols` (null when there are none), and a context
   * with that many threads. Includes the slack to align it. */
  int32_t (*workspace_size)(const int64_t *symbols, int32_t symbol_count, int32_t threads, int64_t *bytes);
  /* prefix_run_once: create, run, destroy. Both options may be null. Safe to call from any threads at once. */
  int32_t (*run_once)(const CameoInput *inputs, int32_t input_count, CameoOutput *outputs, int32_t output_count,
                      const CameoOptions *options, const CameoRunOptions *run_options);
  /* prefix_status_text: static text, never null. */
  const char *(*status_text)(int32_t status);
  /* One per output; null when no output has labels. There when struct_size reaches behind it. */
  const CameoLabels *output_labels;
  /* The sequences and optionals, in order. There when struct_size reaches behind them. */
  const CameoContainer *input_containers, *output_containers;
  int32_t input_container_count, output_container_count;
} CameoModel;

#ifdef __cplusplus
}
#endif
#endif
