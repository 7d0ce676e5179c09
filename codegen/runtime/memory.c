/* Memory of which only a run knows the size: what the program asks for with cameo_grow and gives back with
 * cameo_release. It comes from the context's allocator; whatever is left when a run ends is released then. Called by
 * the thread of the run only, never by a task. */
#include "runtime.h"

/* In front of the bytes, in a line of its own. */
struct grown_block {
  struct grown_block *next;
  struct grown_block **link; /* what points to this block */
  int64_t bytes;
  char pad[64 - 3 * sizeof(void *)];
};

static void unlink_and_release(CameoContext *c, struct grown_block *block) {
  *block->link = block->next;
  if (block->next) block->next->link = block->link;
  context_release(&c->allocator, block, sizeof(struct grown_block) + (size_t)block->bytes);
}

static struct grown_block *block_of(const char *workspace, const int64_t *slots) {
  return (struct grown_block *)((uintptr_t)workspace + (uintptr_t)slots[0] - sizeof(struct grown_block));
}

/* slots[0]: where the memory lies, in bytes from the workspace; slots[1]: its size, 0: there is none. Makes it at least
 * `bytes`; what it holds is lost unless `keep`, and then it grows by doubling. 0: no memory. */
int64_t cameo_grow(struct cameo_env *env, char *workspace, int64_t *slots, int64_t bytes, int64_t keep) {
  CameoContext *c = env->pool;
  const int64_t old = slots[1];
  if (old > 0 && bytes <= old) return 1;
  int64_t size = bytes;
  if (keep && size < 2 * old) size = 2 * old;
  if (size < 64) size = 64;
  if (old > 0 && !keep) cameo_release(env, workspace, slots);
  struct grown_block *block = context_allocate(&c->allocator, sizeof(struct grown_block) + (size_t)size);
  if (!block) return 0;
  block->next = c->grown;
  block->link = &c->grown;
  block->bytes = size;
  if (c->grown) c->grown->link = &block->next;
  c->grown = block;
  char *data = (char *)(block + 1);
  if (old > 0 && keep) {
    const char *from = (const char *)(block_of(workspace, slots) + 1);
    for (int64_t i = 0; i < old; ++i) data[i] = from[i];
    cameo_release(env, workspace, slots);
  }
  slots[0] = (int64_t)((uintptr_t)data - (uintptr_t)workspace);
  slots[1] = size;
  return 1;
}

void cameo_release(struct cameo_env *env, char *workspace, int64_t *slots) {
  if (slots[1] > 0) unlink_and_release(env->pool, block_of(workspace, slots));
  slots[0] = slots[1] = 0;
}

void release_grown(CameoContext *c) {
  while (c->grown) unlink_and_release(c, c->grown);
}
